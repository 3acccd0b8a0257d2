"""What a machine refuses (a path, space, memory) in one line with the cure: no bug, and no mistake of the settings."""

from __future__ import annotations

import errno
import os
import re

SHOWN = 100  # characters of a path in a message
_CURES = {
    errno.ENOSPC: ("there is no space left on the disk", "free some, and repeat the command"),
    errno.EDQUOT: ("your quota of the disk is used up", "free some, and repeat the command"),
    errno.EFBIG: ("the file is larger than may be written here", "name another place, or raise the limit"),
    errno.EACCES: ("there is no permission to use it", "change its permissions, or name another place"),
    errno.EPERM: ("there is no permission to use it", "change its permissions, or name another place"),
    errno.EROFS: ("this place can only be read", "name another one"),
    errno.ENOENT: ("there is no such place", "check the path"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "name another path"),
    errno.EEXIST: ("a file stands where a folder is needed", "name another path"),
    errno.EISDIR: ("it is a folder, and a file is needed", "name a file"),
    errno.ENOTEMPTY: ("the folder is not empty", "name a new one"),
    errno.ENAMETOOLONG: ("the name is too long", "shorten it"),
    errno.ELOOP: ("a symbolic link leads back to itself", "mend or remove the link"),
    errno.EMFILE: ("too many files are open", "raise the limit (`ulimit -n`), or run fewer jobs at once"),
    errno.ESTALE: ("its file system has gone away", "mount it again, and repeat the command"),
}
_TOLD = {os.strerror(number): number for number in _CURES if number not in (errno.ENOENT, errno.EEXIST)}
_ASIDE = re.compile(
    r"/\.([^/]+)\.(?:\d+|[a-z0-9_]{8})(?=/|$)"
)  # where a file or folder is written before it gets its name
_TORN = re.compile(  # torch, on a full disk
    r"inline_container.*unexpected pos|PytorchStreamWriter failed|basic_ios::clear: iostream error"
)
_MEMORY = re.compile(r"can't allocate memory|out of memory|DefaultCPUAllocator|bad_alloc", re.IGNORECASE)


def refused(error: BaseException | None) -> str | None:
    """The line for an exception that the machine is the cause of; None for any other.

    Libraries wrap such exceptions, or tell them as text: those that an exception comes from are looked at too.
    """
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if line := _of(error):
            return line
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


def _of(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _MEMORY.search(text)):
        return f"there is not enough memory ({_about_memory(text)}); ask for less, or use a machine with more"
    if isinstance(error, RuntimeError) and _TORN.search(text):
        return _line(None, *_CURES[errno.ENOSPC])
    if isinstance(error, OSError) and error.errno is not None:
        name = error.filename2 if error.filename2 is not None else error.filename
        return _line(name, *_CURES.get(error.errno, (error.strerror or "it cannot be used", "name another place")))
    told = next((number for words, number in _TOLD.items() if words in text), None)
    if told is None or isinstance(error, SyntaxError):
        return None
    named = re.search(r'"(/[^"\\]+)', text) or re.search(r"'(/[^']+)'", text)
    return _line(named[1] if named else None, *_CURES[told])


def _line(name: object, cause: str, cure: str) -> str:
    if not isinstance(name, str | bytes | os.PathLike):
        return f"{cause}; {cure}"
    path = _ASIDE.sub(r"/\1", os.fsdecode(name))
    shown = path if len(path) <= SHOWN else f"{path[: SHOWN // 2]}...{path[-SHOWN // 2 :]}"
    return f"{shown}: {cause}; {cure}"


def _about_memory(text: str) -> str:
    amount = re.search(
        r"Unable to allocate [\d.]+ \w+|you tried to allocate \d+ bytes|Tried to allocate [\d.]+ \w+", text
    )
    return amount[0][:1].lower() + amount[0][1:] if amount else "it ran out"
