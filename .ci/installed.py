"""Run in an environment with the bare wheel: what is installed, how large it is, and that it works without any extra."""

import importlib.metadata
import pathlib
import subprocess
import sys

TOOLS = {"pip", "setuptools", "wheel"}
names = sorted(
    dist.metadata["Name"] for dist in importlib.metadata.distributions() if dist.metadata["Name"].lower() not in TOOLS
)
files = [
    path
    for dist in importlib.metadata.distributions()
    if dist.metadata["Name"] in names
    for file in dist.files or ()
    if (path := pathlib.Path(str(dist.locate_file(file)))).is_file()
]
print(f"{len(names)} distributions, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB: {', '.join(names)}")
ours = importlib.metadata.files("relay-sync") or []
shipped = {str(file) for file in ours}
assert "relay_sync/py.typed" in shipped
assert "relay_sync/simulator/speech/caller.wav" in shipped
assert not any(name.startswith(("tests", "examples")) for name in shipped)

import relay_sync  # noqa: E402

assert "site-packages" in (relay_sync.__file__ or "")
assert relay_sync.RelayClient  # imports what the names of the package are in
for heavy in ("requests", "websockets", "rich", "numpy"):
    assert heavy not in sys.modules, heavy
import relay_sync.rest  # noqa: E402
import relay_sync.webhooks  # noqa: E402

try:
    import relay_sync.simulator
except ImportError as error:
    assert 'pip install "websockets>=' in str(error), error
else:
    sys.exit("the simulator imports without its extra?")
done = subprocess.run([sys.executable, "-m", "relay_sync", "demo"], capture_output=True, text=True, check=False)
assert done.returncode != 0
assert "Traceback" not in done.stderr, done.stderr
assert 'pip install "websockets>=' in done.stderr + done.stdout, done.stderr
