"""Addresses in S3: what they name, what they may name, and what they are below."""

import pytest

from app.places import BucketPlace, bucket_place, is_remote


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://flowers", BucketPlace("flowers", "")),
        ("s3://flowers/", BucketPlace("flowers", "")),
        ("s3://flowers/a/b.zip", BucketPlace("flowers", "a/b.zip")),
        ("s3://flowers/a b/%2e%2e/ä/", BucketPlace("flowers", "a b/%2e%2e/ä")),
    ],
)
def test_an_address_names_a_bucket_and_a_key_letter_by_letter(url, place):
    assert bucket_place(url) == place
    assert bucket_place(str(place)) == place
    assert is_remote(url)


@pytest.mark.parametrize(
    "url",
    [
        "flowers",
        "http://flowers/a",
        "file:///etc/passwd",
        "S3://flowers/a",
        "s3:/flowers/a",
        "s3://",
        "s3:///a",
        "s3://Flowers/a",
        "s3://user@flowers/a",
        "s3://flowers:80/a",
        "s3://flo..wers/a",
        "s3://flowers/../a",
        "s3://flowers/a/..",
        "s3://flowers/./a",
        "s3://flowers//a",
        "s3://flowers/a//",
        "s3://flowers/a\\b",
        "s3://flowers/a\nb",
        "s3://flowers/" + "a" * 1025,
    ],
)
def test_what_could_mean_something_else_is_no_address(url):
    with pytest.raises(ValueError, match="must"):
        bucket_place(url)


@pytest.mark.parametrize(
    ("inner", "outer", "is_below"),
    [
        ("s3://abc/x/y", "s3://abc/x", True),
        ("s3://abc/x", "s3://abc/x", True),
        ("s3://abc/x", "s3://abc", True),
        ("s3://abc/xy", "s3://abc/x", False),
        ("s3://abc", "s3://abc/x", False),
        ("s3://abcd/x/y", "s3://abc/x", False),
    ],
)
def test_a_place_is_below_by_whole_parts(inner, outer, is_below):
    assert bucket_place(inner).is_below(bucket_place(outer)) is is_below
