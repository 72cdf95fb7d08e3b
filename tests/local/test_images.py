"""The containers: what their description promises, as far as it can be read without building them."""

import re
from pathlib import Path

import pytest
import yaml

from app.serve import GRACE_SECONDS
from app.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
STAGES = dict(re.findall(r"(?ms)^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", (ROOT / "Dockerfile").read_text()))
OURS = ("api", "worker", "worker-gpu")


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


@pytest.mark.parametrize("image", ["api", "worker"])
def test_images_run_as_nobody_in_particular_and_tell_their_health(image):
    assert re.search(r"(?m)^USER 10001:10001$", STAGES[image])
    assert re.search(r"(?m)^HEALTHCHECK .*CMD \[", STAGES[image])
    # The list form: a shell would keep the signal to itself.
    assert re.search(r"(?m)^CMD \[", STAGES[image])


def test_every_image_is_pinned_by_a_version():
    for name, service in SERVICES.items():
        image = service["image"]
        assert image.startswith("ot3l-") or re.search(r":\d", image), name


def test_settings_are_settings():
    known = {f"OT3L_{name.upper()}" for name in Settings.model_fields}
    given = {name for service in SERVICES.values() for name in service.get("environment", {})}
    given |= set(re.findall(r"OT3L_[A-Z_]+(?==)", "".join(STAGES.values())))
    assert {name for name in given if name.startswith("OT3L_")} <= known


def test_whoever_is_told_to_stop_has_the_time_for_it():
    drain = Settings.model_fields["drain_seconds"].default
    assert seconds(SERVICES["api"]["stop_grace_period"]) >= GRACE_SECONDS + 10
    for worker in ("worker", "worker-gpu"):
        assert seconds(SERVICES[worker]["stop_grace_period"]) >= drain + 10


def test_only_the_api_is_published_and_only_on_loopback():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["api"]
    assert all(port.startswith("127.0.0.1:") for port in published["api"])
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "valkey", "s3"):
        assert SERVICES[name]["networks"] == ["inside"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert {"postgres", "s3", "valkey"} & set(SERVICES[name]["depends_on"]) == {"valkey"}


def test_volumes_are_declared_and_used():
    mounted = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if isinstance(volume, str)
    }
    assert mounted == set(COMPOSE["volumes"])
