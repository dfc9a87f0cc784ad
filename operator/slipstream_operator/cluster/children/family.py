"""Which children there should be: those an AgentDeployment always has, those of a build, those that serve."""

from slipstream_contract import names
from slipstream_contract.recipe import Recipe
from slipstream_operator.api.spec import AgentSpec
from slipstream_operator.cluster.children import access, accounts, memory, storage
from slipstream_operator.cluster.children.build_job import build_job
from slipstream_operator.cluster.children.deployment import Standing, deployment, template
from slipstream_operator.cluster.children.memory import Good
from slipstream_operator.cluster.children.metadata import BUILDER, RUNTIME, STORAGE, Document, Owner, sealed
from slipstream_operator.cluster.settings import OperatorSettings
from slipstream_operator.reconcile.desired import Desired, DesiredServing

NOTHING_STANDS = Standing()


def applied(
    owner: Owner,
    spec: AgentSpec,
    desired: Desired,
    settings: OperatorSettings,
    standing: Standing = NOTHING_STANDS,
) -> list[Document]:
    """Return the children to keep as they are here."""
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
        children += _serving(owner, spec, desired.serving, settings, standing)
    if desired.revisions:
        children.append(
            memory.revisions_config(owner, desired.revisions, _good(owner, spec, desired, settings, standing))
        )
    return [sealed(document) for document in children]


def is_for_builds(document: Document) -> bool:
    """Return whether a build Job needs the child, or its pods would run unguarded or write to a stranger's volume."""
    return document["metadata"]["labels"][names.LABEL_COMPONENT] in (BUILDER, STORAGE)


def created(
    owner: Owner, recipe: Recipe, claims: tuple[str, ...], keep: tuple[str, ...], settings: OperatorSettings
) -> Document:
    """Return the build Job, which is made once and never changed: its pod template is immutable."""
    return sealed(build_job(owner, recipe, claims, keep, settings))


def _good(
    owner: Owner, spec: AgentSpec, desired: Desired, settings: OperatorSettings, standing: Standing
) -> Good | None:
    """Return the template to go back to: this one once all replicas are of it, else the one before."""
    serving = desired.serving
    if serving is not None and serving.proven:
        return Good(serving.summary.artifact_digest or "", template(owner, spec, serving.summary, settings))
    return standing.good


def _serving(
    owner: Owner, spec: AgentSpec, serving: DesiredServing, settings: OperatorSettings, standing: Standing
) -> list[Document]:
    return [
        memory.variant_config(owner, serving.variant),
        deployment(owner, spec, serving, settings, standing),
        access.service(owner),
        access.disruption_budget(owner),
    ]
