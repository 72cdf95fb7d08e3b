"""Features depend on pictures and embedder, never on threads or on whether they were cached."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from ot3l_core.data.features import FeatureCache, cached_features, embed
from ot3l_core.data.images import ArrayImages, EncodedImages, ImageSplit
from ot3l_core.errors import Cancelled, CorruptImageError, ShapeMismatchError
from ot3l_core.names import Precision
from tests.generators.pictures import encoded, random_pictures

SETTINGS = {"device": torch.device("cpu"), "precision": Precision.FLOAT32, "batch_size": 4}


class LinearEmbedder:
    """A fixed linear map of the pixels, of which it counts the uses."""

    name = "linear"
    feature_dim = 7

    def __init__(self, *, digest="11", delays=None):
        self.digest = digest
        self.weights = torch.randn(75, 7, generator=torch.Generator().manual_seed(0))
        self.batches = []
        self.delays = delays

    def preprocess(self, picture):
        if self.delays is not None:
            time.sleep(self.delays.random() / 200)
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255

    def embed(self, batch):
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert not torch.is_grad_enabled()
        self.batches.append(len(batch))
        return batch.flatten(1) @ self.weights


@contextmanager
def torch_threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def split():
    pixels = np.stack(random_pictures(23, shape=(5, 5, 3)))
    return ImageSplit(ArrayImages(pixels), np.zeros(23, np.int64), tuple(map(str, range(23))))


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "cache")


def test_every_picture_is_embedded_in_order(split):
    embedder = LinearEmbedder()
    expected = torch.stack([embedder.preprocess(split.images.picture(i)).flatten() for i in range(23)])
    torch.testing.assert_close(embed(split, embedder, **SETTINGS), expected @ embedder.weights)


def test_batches_are_full_but_for_the_last(split):
    embedder = LinearEmbedder()
    embed(split, embedder, **SETTINGS)
    assert sorted(embedder.batches) == [3, 4, 4, 4, 4, 4]


def test_the_bits_do_not_depend_on_which_thread_is_faster(split):
    plain = embed(split, LinearEmbedder(), **SETTINGS)
    for seed in range(3):
        slowed = LinearEmbedder(delays=np.random.default_rng(seed))
        assert torch.equal(embed(split, slowed, **SETTINGS), plain)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_bits_do_not_depend_on_how_many_cores_there_are(split, cores):
    plain = embed(split, LinearEmbedder(), **SETTINGS)
    with torch_threads(cores):
        assert torch.equal(embed(split, LinearEmbedder(), **SETTINGS), plain)


@pytest.mark.parametrize("cores", [1, 3])
def test_no_more_batches_are_in_memory_than_there_are_cores(split, cores):
    class Counting(LinearEmbedder):
        def __init__(self):
            super().__init__(delays=np.random.default_rng(0))
            self.lock, self.under_way, self.most = threading.Lock(), 0, 0

        def preprocess(self, picture):
            with self.lock:
                self.under_way += 1
                self.most = max(self.most, self.under_way)
            return super().preprocess(picture)

        def embed(self, batch):
            found = super().embed(batch)
            with self.lock:
                self.under_way -= len(batch)
            return found

    embedder = Counting()
    with torch_threads(cores):
        embed(split, embedder, **SETTINGS)
    assert embedder.under_way == 0
    assert embedder.most <= cores * SETTINGS["batch_size"]


def test_bfloat16_is_near_float32_and_returned_as_float32(split):
    exact = embed(split, LinearEmbedder(), **SETTINGS)
    rounded = embed(split, LinearEmbedder(), **SETTINGS | {"precision": Precision.BFLOAT16})
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0.2)


def test_the_parallelism_of_others_is_left_alone(split):
    def parallelism_of_a_new_thread():
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(torch.get_num_threads).result()

    before = torch.get_num_threads(), parallelism_of_a_new_thread()
    embed(split, LinearEmbedder(), **SETTINGS)
    assert (torch.get_num_threads(), parallelism_of_a_new_thread()) == before


def test_a_corrupt_picture_stops_the_work_and_is_named(split):
    files = [encoded(picture) for picture in random_pictures(9, shape=(5, 5, 3))]
    files[6] = b"no image"
    ids = tuple(f"sample{index}" for index in range(9))
    corrupt = ImageSplit(EncodedImages(files.__getitem__, ids), np.zeros(9, np.int64), ids)
    with pytest.raises(CorruptImageError, match="'sample6'"):
        embed(corrupt, LinearEmbedder(), **SETTINGS)


def test_features_can_be_trained_on(split):
    weights = torch.zeros(7, requires_grad=True)
    (embed(split, LinearEmbedder(), **SETTINGS) @ weights).sum().backward()
    assert weights.grad.abs().sum() > 0


def test_an_empty_split_has_no_features(split):
    assert embed(split.take(np.array([], np.int64)), LinearEmbedder(), **SETTINGS).shape == (0, 7)


def test_progress_rises_to_one(split):
    shares = []
    embed(split, LinearEmbedder(), **SETTINGS, on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) == 6


def test_cancelling_stops_the_threads_and_leaves_nothing_behind(split, cache):
    def cancel(share):
        raise Cancelled("enough")

    # The error is kept, and with it every frame that it passed.
    with pytest.raises(Cancelled) as _kept:
        cached_features(split, LinearEmbedder(), cache=cache, **SETTINGS, on_progress=cancel)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("embed")]
    assert not cache.root.exists()


def test_a_wrong_feature_dimension_is_noticed(split):
    embedder = LinearEmbedder()
    embedder.feature_dim = 8
    with pytest.raises(ShapeMismatchError, match=r"\(4, 8\): got \(4, 7\)"):
        embed(split, embedder, **SETTINGS)


def test_cached_features_equal_computed_ones_and_are_computed_once(split, cache):
    embedder = LinearEmbedder()
    plain = embed(split, embedder, **SETTINGS)
    first = cached_features(split, embedder, cache=cache, **SETTINGS)
    embedder.batches.clear()
    shares = []
    second = cached_features(split, embedder, cache=cache, **SETTINGS, on_progress=shares.append)
    assert embedder.batches == []
    assert shares == [1]
    assert torch.equal(first, plain)
    assert torch.equal(second, plain)


def test_another_embedder_precision_or_selection_is_another_entry(split, cache):
    def files():
        return len(list(cache.root.iterdir()))

    cached_features(split, LinearEmbedder(), cache=cache, **SETTINGS)
    cached_features(split, LinearEmbedder(digest="22"), cache=cache, **SETTINGS)
    assert files() == 2
    cached_features(split, LinearEmbedder(), cache=cache, **SETTINGS | {"precision": Precision.BFLOAT16})
    assert files() == 3
    cached_features(split.take(np.arange(5)), LinearEmbedder(), cache=cache, **SETTINGS)
    assert files() == 4


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped"])
def test_a_damaged_entry_is_computed_again(split, cache, damage):
    plain = cached_features(split, LinearEmbedder(), cache=cache, **SETTINGS)
    (entry,) = cache.root.iterdir()
    stored = entry.read_bytes()
    entry.write_bytes(
        {"empty": b"", "truncated": stored[:-9], "flipped": stored[:-1] + bytes([stored[-1] ^ 1])}[damage]
    )
    assert torch.equal(cached_features(split, LinearEmbedder(), cache=cache, **SETTINGS), plain)
    assert entry.read_bytes() == stored


def test_storing_leaves_only_the_finished_file(split, cache):
    cached_features(split, LinearEmbedder(), cache=cache, **SETTINGS)
    assert [file.suffix for file in cache.root.iterdir()] == [".safetensors"]
