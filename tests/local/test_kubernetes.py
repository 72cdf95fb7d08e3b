"""The manifests for Kubernetes: valid, and in agreement with the images, the settings and the routes."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from app.main import create_app
from app.serve import GRACE_SECONDS
from app.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}-{document['metadata']['name']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
ALL = [parameter.values[0] for parameter in DOCUMENTS]
WORKLOADS = {document["metadata"]["name"]: document for document in ALL if "template" in document.get("spec", {})}
PODS = {name: document["spec"]["template"] for name, document in WORKLOADS.items()}
STAGES = dict(re.findall(r"(?ms)^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", (ROOT / "Dockerfile").read_text()))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OLDEST, NEWEST = "1.32", kubernetes_validate.latest_version()


def of_kind(kind):
    return [document for document in ALL if document["kind"] == kind]


def container(name):
    (only,) = PODS[name]["spec"]["containers"]
    return only


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_manifest_is_valid(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def test_the_kustomization_has_every_file_or_says_why_not():
    listed = set(re.findall(r"^  (?:# )?- ([\w-]+\.yaml)$", (FOLDER / "kustomization.yaml").read_text(), re.MULTILINE))
    assert listed == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
    assert set(KUSTOMIZATION["resources"]) == listed - {"worker-gpu.yaml"}
    assert {image["name"] for image in KUSTOMIZATION["images"]} == {container(name)["image"] for name in PODS}


def test_every_variable_is_a_setting():
    known = {f"OT3L_{name.upper()}" for name in Settings.model_fields}
    (settings,), (secrets,) = of_kind("ConfigMap"), of_kind("Secret")
    own = [entry for name in PODS for entry in container(name).get("env", [])]
    given = {*settings["data"], *secrets["stringData"], *(entry["name"] for entry in own)}
    assert {name for name in given if not name.startswith("AWS_")} <= known
    # What the workers of the compose file are told, these are told too.
    assert set(COMPOSE["worker"]["environment"]) - given == {"OT3L_DEFAULT_SOURCE", "AWS_ALLOW_HTTP"}
    values = {name.removeprefix("OT3L_").lower(): v for name, v in settings["data"].items() if name.startswith("OT3L_")}
    assert Settings.model_validate(values)


@pytest.mark.parametrize("name", PODS)
def test_images_commands_and_users_are_those_of_the_dockerfile(name):
    spec, own = PODS[name]["spec"], container(name)
    image = own["image"].removeprefix("ot3l-")
    # Without a command of its own, a container runs its image's.
    assert own.get("command") == (COMPOSE["migrate"]["command"] if name == "migrate" else None)
    assert "args" not in own
    user = spec["securityContext"]["runAsUser"], spec["securityContext"]["runAsGroup"]
    assert f"USER {user[0]}:{user[1]}" in STAGES[image]
    exposed = {int(port) for port in re.findall(r"(?m)^EXPOSE (\d+)", STAGES[image])}
    assert {port["containerPort"] for port in own.get("ports", [])} == (set() if name == "migrate" else exposed)
    assert {mount["mountPath"] for mount in own.get("volumeMounts", [])} in (
        {"/datasets", "/var/lib/ot3l", "/tmp"},  # noqa: S108 - inside a container
        set(),
    )


@pytest.mark.parametrize("name", PODS)
def test_containers_may_do_little(name):
    spec, own = PODS[name]["spec"], container(name)["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec["automountServiceAccountToken"]
    assert (own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]) == (True, False)
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container(name)["resources"]["limits"]
    assert {entry["name"] for entry in spec.get("volumes", [])} == {
        mount["name"] for mount in container(name).get("volumeMounts", [])
    }


def test_probes_ask_for_what_there_is(settings):
    routes = set(create_app(settings).openapi()["paths"])
    own = container("api")
    asked = {kind: own[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {where["path"] for where in asked.values()} == {"/health/live", "/health/ready"} & routes
    assert {where["port"] for where in asked.values()} == {port["name"] for port in own["ports"]}
    assert asked["livenessProbe"]["path"] == "/health/live"


def test_who_selects_pods_finds_them():
    selectors = [
        *(document["spec"]["selector"]["matchLabels"] for document in of_kind("Deployment")),
        *(document["spec"]["selector"] for document in of_kind("Service")),
        *(document["spec"]["selector"]["matchLabels"] for document in of_kind("PodDisruptionBudget")),
        *(document["spec"]["podSelector"]["matchLabels"] for document in of_kind("NetworkPolicy")),
    ]
    for selector in selectors:
        assert [name for name, pod in PODS.items() if selector.items() <= pod["metadata"]["labels"].items()], selector
    reached = {port["port"] for policy in of_kind("NetworkPolicy") for rule in policy["spec"].get("ingress", [])
               for port in rule["ports"]}  # fmt: skip
    assert reached == {port["containerPort"] for name in PODS for port in container(name).get("ports", [])}


def test_whoever_is_told_to_stop_has_the_time_for_it():
    assert PODS["api"]["spec"]["terminationGracePeriodSeconds"] >= GRACE_SECONDS + 10
    drain = float(of_kind("ConfigMap")[0]["data"]["OT3L_DRAIN_SECONDS"])
    for name in ("worker", "worker-gpu"):
        assert PODS[name]["spec"]["terminationGracePeriodSeconds"] >= drain + 10


def test_a_gpu_is_asked_for_and_its_nodes_are_tolerated():
    assert container("worker-gpu")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert PODS["worker-gpu"]["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "nvidia.com/gpu" not in container("worker")["resources"]["limits"]


def test_the_secret_holds_no_secret():
    (secret,) = of_kind("Secret")
    assert all(re.search(r"PASSWORD|^ot3l$", value) for value in secret["stringData"].values())
    assert {reference["secretRef"]["name"] for name in PODS for reference in container(name)["envFrom"][1:]} == {
        secret["metadata"]["name"]
    }
