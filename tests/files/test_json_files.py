from __future__ import annotations

import json
from pathlib import Path

import pytest

from wsreg.errors import InputError
from wsreg.files.json_files import (
    check_fields,
    read_json,
    read_json_object,
    read_sealed_json,
    write_json,
    write_sealed_json,
)


def test_reads_the_fields_of_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1, "b": [2]}', encoding="utf-8-sig")
    assert read_json_object(path, ("a",), ("b",)) == {"a": 1, "b": [2]}


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json does not exist"):
        read_json_object(tmp_path / "nowhere.json", ())


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_json_object(tmp_path, ())


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\x00", b'{"a": 1,}', b"[" * 100_000, b"9" * 5000],
    ids=["empty", "cut", "binary", "comma", "deep", "long number"],
)
def test_what_is_no_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json must be valid JSON"):
        read_json_object(path, ())


@pytest.mark.parametrize("content", ['{"a": 1, "b": 2, "a": 1}', '[{"x": {"a": 1, "a": 2}}]'])
def test_a_name_twice_in_one_object_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"must be valid JSON: a repeatedly in one object$"):
        read_json(path)
    path.write_text('{"a": {"a": 1}, "b": {"a": 2}}')
    assert read_json(path) == {"a": {"a": 1}, "b": {"a": 2}}


def test_json_that_is_no_object(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[1, 2]")
    with pytest.raises(InputError, match="must hold a JSON object, got list"):
        read_json_object(path, ())


def test_every_missing_field_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"b": 1}')
    with pytest.raises(InputError, match=r"lacks a, c$"):
        read_json_object(path, ("a", "b", "c"))


def test_unknown_fields_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1, "z": 2, "y": 3}')
    with pytest.raises(InputError, match=r"unknown fields y, z; known are a, b"):
        read_json_object(path, ("a",), ("b",))


def test_fields_within_a_file_are_checked_alike_under_a_name_of_their_own() -> None:
    assert check_fields({"a": 1}, "entry 3", ("a",), ("b",)) == {"a": 1}
    with pytest.raises(InputError, match=r"^entry 3 must hold a JSON object, got list$"):
        check_fields([], "entry 3", ())
    with pytest.raises(InputError, match=r"^entry 3 lacks c$"):
        check_fields({"a": 1}, "entry 3", ("a", "c"))


def test_json_is_strict(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_any_content_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", ["µ", 1, None])
    assert read_json(tmp_path / "a.json") == ["µ", 1, None]


def test_every_flipped_bit_of_a_sealed_file_is_seen_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"b": 0.25, "a": [1, "x"], "name": "unet-17"}
    write_sealed_json(path, {**content, "a": (1, "x")})
    assert read_sealed_json(path) == content
    whole = path.read_bytes()
    refused = unsealed = 0
    for bit in range(8 * len(whole)):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        try:
            found = read_sealed_json(path)
        except InputError:
            refused += 1
            continue
        if found != content:  # the name of the check sum has changed: a field that nobody knows
            assert found.keys() - content.keys()
            unsealed += 1
    assert refused > 4 * len(whole)
    assert unsealed <= 8 * len("crc32")


def test_a_file_without_a_check_sum_is_read_and_its_layout_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"step": 7}')
    assert read_sealed_json(path) == {"step": 7}
    path.write_text("[1]")
    assert read_sealed_json(path) == [1]
    write_sealed_json(path, {"step": 7, "kind": "unet"})
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(dict(sorted(fields.items()))))
    assert read_sealed_json(path) == {"step": 7, "kind": "unet"}
    path.write_text(json.dumps({**fields, "step": float("nan")}))
    with pytest.raises(InputError, match=r"a\.json cannot be read: it is garbled"):
        read_sealed_json(path)
