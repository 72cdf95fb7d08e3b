"""The same tables in the layout of the Hugging Face hub, where they are read group by group, and its READMEs."""

import json

from tests.generators.pictures import random_tree, write_shards
from tests.hostile import arrays

SPLITS = {"train": random_tree({"ant": 4, "bee": 4})}
SHARED = ("one_value", "one_label", "structs_in_structs", "two_columns_of_one_name", "paths", "no_text", "pickles")


def shard(make):
    """A hostile table as the only shard."""

    def write(folder):
        make(folder)
        (folder / "data").mkdir()
        (folder / "data.parquet").rename(folder / "data" / "train-00000-of-00001.parquet")
        return {"format": "huggingface", "path": str(folder)}

    return write


def readme(front):
    """Good shards below a README."""

    def write(folder):
        (folder / "README.md").write_text(f"---\n{front}\n---\n")
        return {"format": "huggingface", "path": str(write_shards(folder, SPLITS))}

    return write


def listing(**row):
    """A list of pictures with this row."""

    def write(folder):
        (folder / "metadata.jsonl").write_text(json.dumps(row) + "\n")
        return {"format": "huggingface", "path": str(folder)}

    return write


DAG = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" if n else "a0: &a0 [x, x]" for n in range(30))

HUBS = {
    **{f"hub_of_{name}": (code, shard(make)) for name in SHARED
       for code, make in [arrays.ARRAYS[f"parquet_of_{name}"]]},
    "hub_bomb": ("unsafe_data", shard(arrays.ARRAYS["parquet_bomb"][1])),
    "hub_claims_rows": ("unsafe_data", shard(arrays.ARRAYS["parquet_claims_rows"][1])),
    "hub_claims_fewer_rows": ("too_few_samples", shard(arrays.ARRAYS["parquet_claims_fewer_rows"][1])),
    "hub_without_pictures": ("dataset_layout", shard(arrays.ARRAYS["parquet_without_pictures"][1])),
    "hub_cut": ("dataset_layout", shard(arrays.ARRAYS["parquet_cut"][1])),
    "hub_cut_in_its_pages": ("dataset_layout", shard(arrays.ARRAYS["parquet_cut_in_its_pages"][1])),
    "hub_with_a_pickled_type": (None, shard(arrays.ARRAYS["parquet_with_a_pickled_type"][1])),
    "hub_of_a_billion_laughs": ("unsafe_data", readme(DAG)),
    "hub_of_endless_front_matter": ("unsafe_data", readme("a: b\n" * 300_000)),
    "hub_of_deep_front_matter": ("dataset_layout", readme("[" * 100_000)),
    "hub_of_sixties": (None, readme("a: 1" + ":59" * 300_000)),
    "hub_with_a_tag": (None, readme("a: !!python/object/apply:os._exit [66]")),
    "hub_that_names_files_elsewhere": ("unsafe_data", readme("configs:\n- data_files: ../../*.parquet")),
    "hub_list_that_leads_out": ("unsafe_data", listing(file_name="../../etc/passwd", label="ant")),
    "hub_list_of_a_huge_number": ("dataset_not_found", listing(file_name="a.png", label=10**400)),
}  # fmt: skip
