"""The words of README, pages, docstrings, comments and messages: phrases that make people read twice do not occur.

``python -m tests.house.test_words PATH ...`` lists what is found in files and folders.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support import ROOT
from tests.support.pages import FENCED

#: What does not occur, as regular expressions, and what to write instead.
PHRASES: Final = {
    # Passive hearsay: who tells whom, and how?
    r"(is|are|was|were|be|been|being|nobody|was never) told( of)?": "is notified of, receives, logs",
    r"tells? of": "reports",
    r"hear[sd]? (of|nothing)|unheard": "receives, learns",
    # Nameless actors.
    r"somebody|someone|nobody|no one|whoever|everybody|anybody": "the caller, the handler, a thread, the server",
    r"(the|an?) one (that|who|which)|(those|ones?) (that|who|which)": "the noun",
    r"he|him|his|himself": "they, the caller",
    # Things that happen again.
    r"anew|made again|once more": "again, recreated, re-established",
    r"(go|goes|going|gone|went) on": "continues",
    r"for ever": "forever, indefinitely",
    r"for good": "permanently",
    r"any more|no more": "no longer",
    r"never more": "never again",
    # Verdicts.
    r"can(not)? be right": "is invalid",
    r"is not possible": "is invalid, is not supported",
    r"can(not)? be had": "is not available",
    r"hurts? (nobody|no one|no)|harmless(ly)?": "has no effect on, is safe",
    r"comes? to nothing": "fails",
    r"in vain": "without success",
    # Things of the language that this was thought in.
    r"by itself|by themselves|of (its|their) own accord|of itself": "automatically",
    r"by hand": "manually, explicitly",
    r"at the (most|least)": "at most, at least",
    r"as (it|they) (is|are|was|were)": "unchanged",
    r"of (ours|yours|theirs|one's own)": "our, your, their",
    r"sign of life": "a reply, a ping",
    r"(pass(es|ed|ing)?|given) back": "returned to the platform",
    r"put(s|ting)? through": "transfer, connect",
    r"(come|comes|came|brought|bring|brings) about": "happens, causes",
    r"befalls?|befell": "happens to",
    r"thereof|therein|thereby|whereby|thereupon": "write it out",
    r"wherever|whichever|whoever's": "write it out",
    r"likewise|the like": "also, too, similar",
    r"meanwhile": "in the meantime, while ...",
    r"belongs? into": "belongs in",
    r"in the midst( of)?|amid(st)?": "in the middle of, during",
    r"farewell|takes? (its|their|our) leave": "disconnect",
    r"at home": "integration",
    r"begun": "started",
    r"stands? (in|at|there)": "is in",
    r"so many (seconds|bytes|times|frames)": "this many, N",
    r"le(ft|ave|aves|aving) alone": "ignored, untouched",
    r"let(s|ting)? go( of)?": "release",
    r"what is your part": "your responsibilities",
    r"front door": "entry point",
    r"says? so": "reports it, allows it",
    r"not of this": "other",
    r"world[s]? of": "environment",
    r"for want of": "without",
    r"whither|whence|hence": "write it out",
    r"has (got )?to do with": "concerns",
    r"on top of (that|this)": "also",
    r"lie[sd]? about": "misreports",
    r"give[sn]? (word|notice)": "notify",
    r"in its turn|in their turn": "in turn",
    r"as though|as if nothing": "as if",
    r"of (some|any|whatever) kind": "any",
    r"nothing (else )?(is|was) (said|told|known)": "write who knows",
    r"thing[s]? of": "part of",
}

#: British spellings by their stems, and the American ones.
SPELLINGS: Final = {
    r"dial(l)(ing|ed|er|ers)": "dialing, dialed, dialer",
    r"cancell(ed|ing)": "canceled, canceling",
    r"behaviour\w*": "behavior",
    r"colour\w*": "color",
    r"favour\w*": "favor",
    r"honour\w*": "honor",
    r"neighbour\w*": "neighbor",
    r"(un)?recognis\w+": "recognize",
    r"(de|re)?serialis\w+": "serialize",
    r"(re|un)?initialis\w+": "initialize",
    r"(re|un)?organis\w+": "organize",
    r"(un)?normalis\w+": "normalize",
    r"(de|re)?synchronis\w+": "synchronize",
    r"(un)?authoris\w+": "authorize",
    r"(ana|para)lys(e|es|ed|ing)": "analyze",
    r"(real|util|final|optim|minim|maxim|custom|summar|emphas)is(e|es|ed|ing|ation)": "-ize",
    r"(standard|general|special|token|random|visual|categor)is(e|es|ed|ing|ation)": "-ize",
    r"(sanit|capital|priorit|local|material|paramet(e)?r|stabil|character|virtual|(in|ex)ternal)is(e|es|ed|ing|ation)": "-ize",
    r"(flavour|harbour|humour|rumour|endeavour)\w*": "flavor, harbor, ...",
    r"(channel|level|total|equal|trial|initial|fuel)l(ed|ing)": "channeled, leveled, totaled, ...",
    r"analyser|canceller|centring|sceptical|offence|storey|fulfil(s|ment)|focuss(ed|ing)|practising": "American spelling",
    r"(un)?label(l)(ed|ing)": "labeled",
    r"model(l)(ed|ing)": "modeled",
    r"signal(l)(ed|ing)": "signaled",
    r"travel(l)(ed|ing|er)": "traveled",
    r"tunnel(l)(ed|ing)": "tunneled",
    r"marshall(ed|ing)": "marshaled",
    r"centre[ds]?": "center",
    r"metre[s]?": "meter",
    r"catalogue[ds]?": "catalog",
    r"judgement[s]?": "judgment",
    r"acknowledgement[s]?": "acknowledgment",
    r"programme[s]?": "program",
    r"licence[ds]?": "license",
    r"defence": "defense",
    r"artefact[s]?": "artifact",
    r"gre(y)": "gray",
    r"whilst|amongst|towards|afterwards|backwards|forwards|upwards|downwards": "while, among, toward, afterward",
    r"learnt|spelt|burnt": "learned, spelled",
    r"cheque[s]?|practise[ds]?|fulfil|enrol": "American spelling",
}

_LISTED: Final = [
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), instead) for pattern, instead in {**PHRASES, **SPELLINGS}.items()
]
#: Code among words: its names are not ours to choose.
_CODE: Final = re.compile(r"```.*?```|~~~.*?~~~|``.+?``|`[^`\n]+`|:\w+:`[^`]+`|https?://\S+|\]\([^)]*\)", re.DOTALL)

PAGES: Final = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob(".github/**/*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
]
SOURCES: Final = [*sorted((ROOT / "relay_sync").rglob("*.py")), *sorted((ROOT / "examples").rglob("*.py"))]


def prose(text: str) -> str:
    """A text without its code; each line stays in its line."""
    return _CODE.sub(lambda found: "x" + "\n" * found[0].count("\n"), text)


def shown(text: str) -> Iterator[tuple[int, str]]:
    """The comments and the quoted sentences in the blocks of a page, with the line that each is in."""
    for block in FENCED.finditer(text):
        for words in re.finditer(r"#.*|\"[^\"\n]* [^\"\n]*\"", block[2]):
            yield 1 + text.count("\n", 0, block.start(2) + words.start()), words[0]


def comments(text: str) -> Iterator[tuple[int, str]]:
    """The comments of a module. Those in consecutive lines are one text."""
    first, last, lines = 0, 0, [""]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield first, "\n".join(lines)
                first, lines = token.start[0], []
            last = token.start[0]
            lines.append(token.string.lstrip("#: "))
    yield first, "\n".join(lines)


def passages(path: Path) -> Iterator[tuple[int, str]]:
    """The prose of a file, in pieces, with the line that each begins in."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, prose(text)
        yield from shown(text)
        return
    for first, words in comments(text):
        yield first, prose(words)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.JoinedStr):
            words = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
            yield node.lineno, prose(words)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, prose(node.value)


def faults(path: Path) -> list[str]:
    """What a file has that it should not have: place, phrase, and what to write instead."""
    found = set()
    for first, text in passages(path):
        # A phrase may go over the end of a line, into one that is indented or quoted, and may be emphasized.
        words = list(re.finditer(r"[^\s>*]+", text))
        joined = " ".join(each[0] for each in words)
        for pattern, instead in _LISTED:
            for match in pattern.finditer(joined):
                word = words[joined.count(" ", 0, match.start())]
                line = first + text.count("\n", 0, word.start())
                found.add((line, f"{path.name}:{line}: {match[0]!r}: {instead}"))
    return [told for _, told in sorted(found)]


@pytest.mark.static
@pytest.mark.parametrize("path", [*PAGES, *SOURCES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_listed_phrase_occurs(path: Path) -> None:
    assert faults(path) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("page.md", "The server is told.\n\nIts colour changed.\n", ["is told", "colour"]),
        (
            "page.md",
            "Use `cancelled` here.\n\n```python\nnobody = 1\n```\nThen nobody\nis told.\n",
            ["is told", "nobody"],
        ),
        (
            "module.py",
            '"""One that\nis lost."""\n# for ever\nx = f"{1} was told {2}"\nnobody = "for good"\n',
            ["One that", "for ever", "was told", "for good"],
        ),
        ("module.py", 'state = "cancelled"\n', []),
        (
            "page.md",
            "* It is put\n  through.\n\n> It works in\n> vain. It *is* **told**.\n",
            ["put through", "in vain", "is told"],
        ),
        ("page.md", '```python\nnobody = 1  # is told\nsay("in vain")\n```\n', ["is told", "in vain"]),
        ("page.md", "```{toctree}\na\n```\n\n# b\n\n```python\nx = 1  # is told\n```\n", ["is told"]),
        ("module.py", '"""It is put\n    through."""\n# It works in\n# vain.\n', ["put through", "in vain"]),
        ("module.py", "x = 1  # in\n\n# vain\n", []),
    ],
)
def test_it_finds_them(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert sorted(one.split("'")[1] for one in faults(path)) == sorted(expected)


def test_there_are_enough_of_them() -> None:
    assert len(PHRASES) + len(SPELLINGS) >= 60
    assert len(PAGES) > 15
    assert len(SOURCES) > 200


def main(names: list[str]) -> int:
    """List what is found below some paths. :return: the exit code."""
    paths = [Path(name).resolve() for name in names] or [*PAGES, *SOURCES]
    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    found = [one for file in files for one in faults(file)]
    print(*found, f"{len(found)} in {len(files)} files", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
