"""Which children there should be: those an AgentDeployment always has, those of a build, those that serve."""

from slipstream_contract.recipe import Recipe
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster.children import access, accounts, storage
from slipstream_operator.cluster.children.build_job import build_job
from slipstream_operator.cluster.children.deployment import deployment
from slipstream_operator.cluster.children.metadata import BUILDER, RUNTIME, Document, Owner, sealed
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.reconcile.desired import Desired, DesiredServing


def applied(owner: Owner, spec: AgentSpec, desired: Desired, settings: OperatorSettings) -> list[Document]:
    """Return the children to keep as they are here, in the order they need each other."""
    children = [
        accounts.service_account(owner, BUILDER),
        accounts.service_account(owner, RUNTIME),
        storage.artifacts_claim(owner, spec.storage),
        access.builder_policy(owner, spec.recipe),
        access.runtime_policy(owner, spec.serving, (settings.lease_namespace, *settings.monitoring_namespaces)),
    ]
    if desired.build is not None:
        children.append(storage.recipe_config(owner, desired.build))
    if desired.serving is not None:
        children += _serving(owner, spec, desired.serving, settings)
    return [sealed(document) for document in children]


def created(owner: Owner, recipe: Recipe, claims: tuple[str, ...], settings: OperatorSettings) -> Document:
    """Return the build Job, which is made once and never changed: its pod template is immutable."""
    return sealed(build_job(owner, recipe, claims, settings))


def _serving(owner: Owner, spec: AgentSpec, serving: DesiredServing, settings: OperatorSettings) -> list[Document]:
    return [
        deployment(owner, spec, serving.summary, serving.replicas, settings),
        access.service(owner),
        access.disruption_budget(owner),
    ]
