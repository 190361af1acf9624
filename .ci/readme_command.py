"""Print the command that the README gives behind the mark ``<!-- ci: NAME -->``, so that CI runs what users are told to run."""

import pathlib
import re
import sys

readme = (pathlib.Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
found = re.search(rf"<!-- ci: {re.escape(sys.argv[1])} -->\n```sh\n(.+?)\n```", readme, re.DOTALL)
if found is None:
    sys.exit(f"the README has no command marked {sys.argv[1]!r}")
print(found[1])
