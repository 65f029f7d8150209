"""In what encoding a text is, and the text.

a mark at its beginning    UTF-8, UTF-16, UTF-32
zeros in every second byte UTF-16 without one
UTF-8                      where it is that, but for a few bytes
what else                  those that charset-normalizer holds for likely; of these the one whose words look least
                           strange (MŸnchen, Ayþe), and the commoner one
"""

import codecs
import re
from collections.abc import Iterator
from difflib import get_close_matches
from encodings.aliases import aliases
from itertools import islice
from typing import Any

from gammatune.errors import InvalidArgument, InvalidData, require

_SAMPLE = 64 * 1024  # bytes, of which most is told
_LINES = 1000  # with special letters, of which an encoding is told [guess]
_DAMAGED = 0.05  # of what is beyond ASCII may be broken in a text that is UTF-8 all the same [guess]
_CLOSE = 0.1  # disorder, as charset-normalizer measures it, within which two encodings are alike [guess]
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The commoner first [guess].
_KNOWN = (
    "cp1252", "cp1251", "cp932", "gb18030", "euc_kr", "big5", "euc_jp", "cp1250", "cp1253", "cp1254", "koi8_r",
    "mac_roman", "cp850", "cp866", "latin_1",
)  # fmt: skip
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_STRANGE = re.compile(
    r"(?<=[^\W\d_])[^\w\s\x00-\x7f\u2019\u00b4](?=[^\W\d_])"  # a sign within a word
    r"|[þðýÞÐÝ]|[ìòù](?=[^\W\d_])|[\x80-\x9f\ue000-\uf8ff]"
    rf"|[A-Za-z][{_CJK}\u0370-\u04ff]|[{_CJK}\u0370-\u04ff][A-Za-z]|[\uff61-\uff9f]"  # of two scripts
)
_WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")


def decoded(content: bytes, encoding: str) -> str:
    """The text, without a mark; what `read_encoding` found may hold a few bytes that are broken."""
    text = content.decode(encoding, "replace" if encoding.startswith("utf") else "strict")
    return text.removeprefix("\ufeff")


def read_encoding(content: bytes, wanted: str | None, name: str, said: list[str], likely: str = "") -> str:
    """wanted: by `--encoding`. name: of the file. said: takes what is no more than likely. likely: the encoding of
    the file trained on, of which more was known.

    Raises InvalidArgument: no such encoding. InvalidData: the file is not in the one that was asked for."""
    if wanted is not None:
        return _wanted(content, wanted, name)
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    if marked is not None:
        return marked
    if content.isascii() and b"\0" not in content[:_SAMPLE]:
        return "utf-8"
    if wide := _without_mark(content):
        said.append(f"{name} was read as {wide}, by the zeros in it; --encoding says otherwise.")
        return wide
    try:
        content.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError as error:
        if _is_damaged(content):
            said.append(
                f"{name} is in UTF-8 but for a few bytes, the first in line {_line(content, error.start)}: they "
                "became \ufffd."
            )
            return "utf-8"
    encoding = likely if likely and _is_in(content, likely) else _likely(content)
    example = next(_words(content, encoding), "")
    said.append(
        f"{name} is not in UTF-8 and was read as {encoding}{f', such as {example!r:.40}' if example else ''}; "
        "--encoding says otherwise."
    )
    return encoding


def _is_in(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeError:
        return False
    return True


def _wanted(content: bytes, wanted: str, name: str) -> str:
    try:
        encoding = codecs.lookup(wanted).name
        if not isinstance("".encode(encoding), bytes):
            raise LookupError
    except (LookupError, ValueError):
        known = [*aliases, *aliases.values(), "utf-8", "utf-16", "latin-1", "windows-1252"]
        near = get_close_matches(wanted.lower(), sorted({*known} - {wanted.lower()}), 3)
        hint = f"; perhaps {', '.join(near)}" if near else ""
        raise InvalidArgument(
            f"--encoding {wanted}: there is no such encoding{hint}; utf-8, cp1252, utf-16, shift_jis are some"
        ) from None
    try:
        content.decode(encoding)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        raise InvalidData(
            f"{name} is not in {wanted}: line {_line(content, start)} holds {content[start : start + 4]!r}; name "
            "another with --encoding, or leave it out"
        ) from error
    return "utf-8-sig" if encoding == "utf-8" and content.startswith(codecs.BOM_UTF8) else encoding


def _line(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


def _without_mark(content: bytes) -> str:
    """UTF-16 as it is told from zeros; "" of anything else."""
    even, odd = content[0:_SAMPLE:2], content[1:_SAMPLE:2]
    few, many = 0.1, 0.4  # of the bytes [guess]
    for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros.count(0) > many * len(zeros) and others.count(0) < few * len(others):
            return encoding
    return ""


def _is_damaged(content: bytes) -> bool:
    """Whether all but a few of the signs beyond ASCII are UTF-8."""
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    beyond = len(re.findall(r"[^\x00-\x7f]", text))
    return broken <= _DAMAGED * beyond


def _likely(content: bytes) -> str:
    detector: Any = require(
        "charset_normalizer", "tables", "encodings are told by", instead="name it with --encoding"
    )
    sample = b"".join(line[:_SAMPLE] for line in _special(content))[:_SAMPLE]
    found = detector.from_bytes(sample, cp_isolation=list(_KNOWN), threshold=0.5)
    likely: dict[str, float] = {}
    for match in found:
        for encoding in match.could_be_from_charset:
            likely[encoding] = min(match.chaos, likely.get(encoding, 1.0))
    least = min(likely.values(), default=0.0)
    close = [encoding for encoding in _KNOWN if likely.get(encoding, 9.0) <= least + _CLOSE]
    close.sort(key=lambda encoding: _strangeness(sample, encoding))
    # the last has a sign for every byte
    return next((encoding for encoding in close if _is_in(content, encoding)), "latin_1")


def _strangeness(sample: bytes, encoding: str) -> int:
    text = sample.decode(encoding, "replace")
    capitals = (found[0] for found in re.finditer(r"[^\W\d_][^\W\x00-\x7f].?", text))
    cases = sum(word[1].isupper() and (word[0].islower() or word[2:].islower()) for word in capitals)
    return cases + len(_STRANGE.findall(text)) + text.count("\ufffd")


def _words(content: bytes, encoding: str) -> Iterator[str]:
    for line in _special(content):
        yield from (found[0] for found in _WORD.finditer(line.decode(encoding, "replace")))


def _special(content: bytes) -> Iterator[bytes]:
    """The first lines with signs beyond ASCII."""
    return islice((line for line in content.splitlines(keepends=True) if not line.isascii()), _LINES)
