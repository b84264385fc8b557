"""Damage for files: seeded, so that a number always gives the same mutant. Each mutator takes bytes and a `random.Random`."""

import io
import json
import re
import struct
import zipfile

NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"2",
    b"65",
    b"4294967296",
    b"9223372036854775808",
    b"1" + b"0" * 30,
    b"1e400",
    b"nan",
    b"-0.5",
    b"inf",
)
WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1)
TEXTS = ("", "input", "=1+1", "\x1b[31m", "\u202e", "\ud800", "a" * 3000, "../../etc/passwd", "\0", "caf\u00e9")
VALUES = (None, True, -1, 0, 1, 7, 1 << 31, 1 << 63, 10**30, 0.5, -1.5, 1e308, 1e-320, [], {}, [[]], *TEXTS)
NESTED = 5_000


def flip(content, random):
    place = random.randrange(len(content))
    return content[:place] + bytes((content[place] ^ (1 << random.randrange(8)),)) + content[place + 1 :]


def _range(content, random):
    start = random.randrange(len(content))
    return start, min(len(content), start + random.choice((1, 2, 4, 8, 64, 512)))


def truncate(content, random):
    return content[: random.randrange(len(content))]


def insert(content, random):
    place, count = random.randrange(len(content) + 1), random.choice((1, 4, 64))
    return content[:place] + random.choice((random.randbytes(count), b"\0" * count, b"[" * NESTED)) + content[place:]


def delete(content, random):
    start, stop = _range(content, random)
    return content[:start] + content[stop:]


def duplicate(content, random):
    start, stop = _range(content, random)
    return content[:stop] + content[start:stop] * random.choice((1, 3)) + content[stop:]


def big_word(content, random):
    """A binary number becomes one at the edge of a type."""
    width = random.choice((1, 2, 4, 8))
    place = random.randrange(max(1, len(content) - width))
    word = random.choice(WORDS) & ((1 << 8 * width) - 1)
    return content[:place] + word.to_bytes(width, random.choice(("little", "big"))) + content[place + width :]


def big_number(content, random):
    """A number in text becomes a strange one."""
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", content))
    if not found:
        return flip(content, random)
    one = random.choice(found)
    return content[: one.start()] + random.choice(NUMBERS) + content[one.end() :]


def swap_words(content, random):
    """A word of a text takes another one's place."""
    found = list(re.finditer(rb"[A-Za-z_][\w.-]*", content))
    if len(found) < 2:
        return flip(content, random)
    one, other = random.sample(found, 2)
    return content[: one.start()] + other[0] + content[one.end() :]


def lines(content, random):
    """Lines of a text go, come twice, or change places."""
    rows = content.split(b"\n")
    one, other = random.randrange(len(rows)), random.randrange(len(rows))
    return random.choice(
        (
            b"\n".join(rows[:one] + rows[one + 1 :]),
            b"\n".join([*rows[:one], rows[other], *rows[one:]]),
            b"\n".join([*rows[:one], random.choice(TEXTS).encode("utf-8", "surrogatepass"), *rows[one + 1 :]]),
        )
    )


BINARY = (flip, truncate, insert, delete, duplicate, big_word)
TEXT = (*BINARY[:-1], big_number, big_number, swap_words, swap_words, lines)


def binary(content, random):
    return random.choice(BINARY)(content, random) if content else random.randbytes(8)


def pickled(content, random):
    """A pickle's first or last bytes, where its opcodes stand, more often than the numbers between them."""
    edge = 400
    if len(content) <= 2 * edge or random.random() < 0.3:
        return binary(content, random)
    if random.random() < 0.5:
        return binary(content[:edge], random) + content[edge:]
    return content[:-edge] + binary(content[-edge:], random)


def text(content, random):
    return random.choice(TEXT)(content, random) if content else random.randbytes(8)


def tree(value, random):
    """A JSON value with one of its parts replaced, dropped or given twice; at any depth."""
    if not isinstance(value, (dict, list)) or not value or random.random() < 0.1:
        return random.choice((*VALUES, -value, value + 1, value * 1000) if type(value) in (int, float) else VALUES)
    parts = list(value.items() if isinstance(value, dict) else enumerate(value))
    place = random.randrange(len(parts))
    key, part = parts[place]
    match random.randrange(8):
        case 0:
            del parts[place]
        case 1:
            parts.insert(place, (random.choice(TEXTS), part))
        case _:
            parts[place] = key, tree(part, random)
    return dict(parts) if isinstance(value, dict) else [part for _, part in parts]


def json_text(content, random):
    """A JSON document with its parts changed, or its text."""
    if random.random() < 0.4:
        return text(content, random)
    try:
        return json.dumps(tree(json.loads(content), random), ensure_ascii=random.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
    except ValueError:
        return text(content, random)


def npy(content, random):
    """An array's header or data; a header in which the text of a record lies is changed as JSON."""
    size = int.from_bytes(content[8:10], "little")
    head, data = content[10 : 10 + size], content[10 + size :]
    if b"'<U" in head and random.random() < 0.9:
        changed = json_text(data.decode("utf-32-le").encode(), random).decode("utf-8", "replace")
        return npy_of(
            f"{{'descr': '<U{len(changed) or 1}', 'fortran_order': False, 'shape': (), }}", changed.encode("utf-32-le")
        )
    if random.random() < 0.5:
        return npy_of(text(head.strip(), random).decode("latin-1"), data)
    return binary(content, random)


def npy_of(head, data):
    """A .npy of a header's text and data."""
    padded = head.encode("latin-1")
    padded += b" " * (-(11 + len(padded)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + (len(padded) & 0xFFFF).to_bytes(2, "little") + padded + data


def zipped(inner):
    """A mutator of archives: bytes of the file, or members that change by `inner`, change places, go or come twice."""

    def mutate(content, random):
        if random.random() < 0.25:
            return binary(content, random)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        names = list(members)
        one, other = random.choice(names), random.choice(names)
        match random.randrange(10):
            case 0:
                members[one], members[other] = members[other], members[one]
            case 1:
                del members[one]
            case 2:
                members[random.choice(TEXTS).replace("\ud800", "") or "x"] = members[one]
            case 3 | 4 | 5 if "header.npy" in members:
                members["header.npy"] = inner(members["header.npy"], random)
            case _:
                members[one] = inner(members[one], random)
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, one in members.items():
                archive.writestr(name, one)
        return made.getvalue()

    return mutate


def safetensors(content, random):
    """The file's bytes, or its JSON header under a length that is right or wrong."""
    if random.random() < 0.3:
        return binary(content, random)
    size = int.from_bytes(content[:8], "little")
    head = json_text(content[8 : 8 + size], random)
    length = random.choice((len(head), len(head), len(head), random.choice(WORDS)))
    return struct.pack("<Q", length) + head + content[8 + size :]


def protobuf(parse):
    """A mutator of messages: bytes of the file, or any field at any depth."""

    def mutate(content, random):
        if random.random() < 0.3:
            return binary(content, random)
        message = parse(content)
        _change(message, random)
        return message.SerializeToString()

    return mutate


def _change(message, random):
    fields = message.ListFields()
    if not fields:
        return
    descriptor, value = random.choice(fields)
    repeated = not isinstance(value, (int, float, str, bytes)) and not hasattr(value, "ListFields")
    if repeated and random.random() < 0.15:
        del value[random.randrange(len(value))]
    elif descriptor.message_type is not None:
        _change(random.choice(value) if repeated else value, random)
    else:
        _put(message, descriptor.name, random.randrange(len(value)) if repeated else None, random)


def _put(message, name, place, random):
    value = getattr(message, name) if place is None else getattr(message, name)[place]
    choices = {
        int: (-1, 0, 1, 2, 7, 10, 1 << 31, (1 << 63) - 1, -(1 << 63)),
        float: (0.0, -1.0, 1e38, float("inf"), float("nan"), 1e-45),
        str: ("", "x", "Conv", "Gemm", "Relu", "\x1b[0m", "a" * 3000),
        bytes: (b"", b"\0", b"\xff" * 9, value[:-1] if isinstance(value, bytes) else b""),
    }
    new = random.choice(choices[type(value)])
    try:
        if place is None:
            setattr(message, name, new)
        else:
            getattr(message, name)[place] = new
    except ValueError:  # out of the field's range
        pass
