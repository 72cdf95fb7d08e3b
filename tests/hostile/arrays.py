"""NumPy archives and parquet tables that hold objects, lie about their sizes, or become far more than they are."""

import io
import os
import pickle
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.generators.pictures import encoded, random_pictures
from tests.hostile.folders import Payload

X = np.zeros((8, 4, 4), np.uint8)
Y = np.arange(8) % 2
PICTURES = [encoded(picture) for picture in random_pictures(8)]
LABELS = ["ant", "bee"] * 4


def npz(**arrays):
    """An archive of arrays."""

    def write(folder):
        np.savez_compressed(folder / "data.npz", **({"x": X, "y": Y} | arrays))
        return {"format": "npz", "path": str(folder / "data.npz")}

    return write


def npz_of(header, content=b"", version=(1, 0)):
    """An archive whose array ``x`` has this header, as text."""

    def write(folder):
        written = io.BytesIO()
        np.save(written, Y)
        line = header.encode("latin-1").ljust(117) + b"\n"
        size = len(line).to_bytes(2 if version == (1, 0) else 4, "little")
        with zipfile.ZipFile(folder / "data.npz", "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY" + bytes(version) + size + line + content)
            archive.writestr("y.npy", written.getvalue())
        return {"format": "npz", "path": str(folder / "data.npz")}

    return write


def file_of(name, content):
    """A file of these bytes."""

    def write(folder):
        (folder / f"data.{name}").write_bytes(content)
        return {"format": name, "path": str(folder / f"data.{name}")}

    return write


def shaped(shape, kind="|u1"):
    """A header that claims a shape."""
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"


def table(change=lambda content: content, *, schema=None, options=None, **columns):
    """A table of pictures and labels, with other columns, whose bytes are changed."""

    def write(folder):
        columns_ = {"image": PICTURES, "label": LABELS} | columns
        pq.write_table(pa.table(columns_, schema=schema), folder / "data.parquet", **(options or {}))
        (folder / "data.parquet").write_bytes(change((folder / "data.parquet").read_bytes()))
        return {"format": "parquet", "path": str(folder / "data.parquet")}

    return write


def of_dictionaries(image, label, count):
    """A table whose values are stored once, and named by every row."""

    def write(folder):
        columns = {
            name: pa.DictionaryArray.from_arrays(
                pa.array([row % len(values) for row in range(count)], pa.int32()), values
            )
            for name, values in (("image", pa.array(image)), ("label", pa.array(label)))
        }
        options = {"dictionary_pagesize_limit": 2**30, "store_schema": False, "row_group_size": count}
        pq.write_table(pa.table(columns), folder / "data.parquet", **options)
        return {"format": "parquet", "path": str(folder / "data.parquet")}

    return write


def varint(value):
    """A whole number as parquet's footer writes it: zigzag, seven bits at a time."""
    value, written = 2 * value, b""
    while value > 127:
        written += bytes([value % 128 + 128])
        value //= 128
    return written + bytes([value])


def claims_rows(whole, *, before=8, after=2 * 10**12):
    """A footer that claims other numbers of rows."""
    size = int.from_bytes(whole[-8:-4], "little")
    footer = whole[-8 - size : -8].replace(b"\x16" + varint(before), b"\x16" + varint(after))
    return whole[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def deep(depth):
    """A column of structs in structs."""
    kind, value = pa.binary(), b"x"
    for _ in range(depth):
        kind, value = pa.struct({"bytes": kind}), {"bytes": value}
    return pa.array([value] * 8, kind)


def pickling_extension():
    """A type that old versions of pyarrow unpickled."""
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Payload()),
    }
    return pa.schema([pa.field("image", pa.binary(), metadata=metadata), pa.field("label", pa.string())])


def named_twice(folder):
    """Two columns of one name."""
    columns = [pa.array(PICTURES), pa.array(LABELS), pa.array(PICTURES)]
    pq.write_table(pa.Table.from_arrays(columns, ["image", "label", "image"]), folder / "data.parquet")
    return {"format": "parquet", "path": str(folder / "data.parquet")}


def no_text(folder):
    """Labels that say they are UTF-8."""
    body = table()(folder)
    path = folder / "data.parquet"
    path.write_bytes(path.read_bytes().replace(b"ant", b"\xff\xfe\xfd"))
    return body


ARRAYS = {
    "npz_of_objects": ("unsafe_data", npz(x=np.array([Payload()] * 8, dtype=object))),
    "npz_of_labels_that_are_objects": ("unsafe_data", npz(y=np.array([Payload()] * 8, dtype=object))),
    "npz_that_is_a_pickle": ("unsafe_data", file_of("npz", pickle.dumps(Payload()))),
    "npz_of_not_a_number": ("dataset_layout", npz(x=np.full((8, 4, 4), np.nan))),
    "npz_bomb": ("unsafe_data", npz(x=np.zeros((80, 1024, 1024), np.uint8), y=np.arange(80) % 2)),
    "npz_of_one_huge_picture": ("unsafe_data", npz_of(shaped((1, 10_000, 10_000)), os.urandom(10_000) * 10_000)),
    "npz_claims_a_terabyte": ("dataset_layout", npz_of(shaped((8, 500_000, 250_000)))),
    "npz_claims_beyond_64_bits": ("unsafe_data", npz_of(shaped((8, 2**40, 2**40)))),
    "npz_claims_less_than_nothing": ("dataset_layout", npz_of(shaped((-8, -4, 4)), bytes(128))),
    "npz_claims_many_nothings": ("unsafe_data", npz_of(shaped((10**15, 0, 4)))),
    "npz_of_huge_strings": ("dataset_layout", npz_of(shaped((8,), "<U99999999"))),
    "npz_with_code_for_a_header": ("dataset_layout", npz_of("__import__('os')._exit(66)", bytes(128))),
    "npz_with_a_deep_header": ("dataset_layout", npz_of("(" * 9_000, bytes(128))),
    "npz_with_a_long_header": ("dataset_layout", npz_of(" " * 1_000_000 + shaped((8, 4, 4)), bytes(128), (2, 0))),
    "npz_of_another_version": ("dataset_layout", npz_of(shaped((8, 4, 4)), bytes(128), (9, 9))),
    "npz_of_long_class_names": ("dataset_layout", npz(classes=np.array(["a" * 1000, "b"]))),
    "npz_of_another_kind": ("dataset_layout", file_of("npz", b"PK\x03\x04 and nothing more")),
    "parquet_of_one_value": ("corrupt_image", of_dictionaries([os.urandom(2**20)], LABELS[:2], 20_000)),
    "parquet_of_one_label": ("dataset_layout", of_dictionaries(PICTURES, ["ant", "b" * 2**20], 5_000)),
    "parquet_bomb": ("unsafe_data", table(image=[bytes(16 * 2**20)] * 8, options={"compression": "zstd",
                                                                                 "use_dictionary": False})),
    "parquet_claims_rows": ("unsafe_data", table(claims_rows)),
    "parquet_claims_fewer_rows": ("too_few_samples", table(lambda whole: claims_rows(whole, after=0))),
    "parquet_of_delta_bytes": ("dataset_layout", table(options={"use_dictionary": False,
                                                                "column_encoding": {"image": "DELTA_BYTE_ARRAY"}})),
    "parquet_of_structs_in_structs": ("dataset_layout", table(image=deep(9))),
    "parquet_too_deep": ("dataset_layout", table(image=deep(150))),
    "parquet_of_two_columns_of_one_name": ("dataset_layout", named_twice),
    "parquet_without_pictures": ("dataset_layout", table(image=[None] * 8, schema=pa.schema({"image": pa.binary(),
                                                                                            "label": pa.string()}))),
    "parquet_of_paths": ("dataset_layout", table(image=["/etc/passwd"] * 8)),
    "parquet_of_no_text": ("dataset_layout", no_text),
    "parquet_of_pickles": ("corrupt_image", table(image=[pickle.dumps(Payload())] * 8)),
    "parquet_that_is_a_pickle": ("dataset_layout", file_of("parquet", pickle.dumps(Payload()))),
    "parquet_cut": ("dataset_layout", table(lambda whole: whole[: len(whole) // 2])),
    "parquet_cut_in_its_pages": ("dataset_layout", table(lambda whole: whole[:4] + whole[200:])),
    "parquet_of_another_kind": ("dataset_layout", file_of("parquet", b"PAR1" + b"\xff" * 999 + b"PAR1")),
    "parquet_with_a_pickled_type": (None, table(schema=pickling_extension())),
}  # fmt: skip
