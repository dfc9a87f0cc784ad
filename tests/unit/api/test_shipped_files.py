"""The files that people are told to use are good ones."""

from pathlib import Path

import pytest
import yaml

from slipstream_operator.api import schema, spec

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(ROOT.glob("examples/*/agentdeployment*.yaml"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_example_manifest_is_valid(file):
    assert spec.parse(schema.validate(yaml.safe_load(file.read_text()))).name == file.parent.name


def test_the_command_line_checks_with_the_very_crd_that_is_installed():
    assert schema.custom_resource_definition() == yaml.safe_load((ROOT / "crds/agentdeployments.yaml").read_text())


def test_the_chart_installs_the_very_crd():
    assert (ROOT / "charts/slipstream/files/agentdeployments.yaml").read_bytes() == (
        ROOT / "crds/agentdeployments.yaml"
    ).read_bytes()


@pytest.mark.parametrize(
    ("shipped", "role", "granted"),
    [
        ("rbac.yaml", "slipstream-operator", "rules.yaml"),
        ("rbac.yaml", "slipstream-operator-lease", "rules-lease.yaml"),
        ("rbac.yaml", "slipstream-operator-reviewer", "rules-reviewer.yaml"),
        ("rbac-cluster.yaml", "slipstream-operator-cluster", "rules-cluster.yaml"),
    ],
)
def test_the_chart_grants_what_the_shipped_rights_grant(shipped, role, granted):
    documents = yaml.safe_load_all((ROOT / "hack" / shipped).read_text())
    (rules,) = [d["rules"] for d in documents if d["kind"].endswith("Role") and d["metadata"]["name"] == role]

    assert yaml.safe_load((ROOT / "charts/slipstream/files" / granted).read_text()) == rules


def test_the_crd_fits_into_an_annotation_of_kubectl_apply():
    assert (ROOT / "crds/agentdeployments.yaml").stat().st_size < 100 * 1024


def test_no_package_shadows_a_module_of_the_standard_library():
    assert not [f for f in ("operator", "runtime", "tests/operator") if (ROOT / f / "__init__.py").exists()]
