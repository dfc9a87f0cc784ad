"""The kinds of objects that the operator touches, and where the API has them."""

from dataclasses import dataclass

from slipstream_contract import names


@dataclass(frozen=True)
class Kind:
    """A kind of object: its API group and version, its plural in paths, its name."""

    api_version: str
    plural: str
    kind: str

    def path(self, namespace: str | None, name: str = "", subresource: str = "") -> str:
        """Return the path of an object, or without a name of the collection; a namespace of None means all."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        scope = f"/namespaces/{namespace}" if namespace is not None else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{self.api_version}{scope}/{self.plural}{tail}"


AGENT_DEPLOYMENT = Kind(names.API_VERSION, names.PLURAL, names.KIND)
SERVICE_ACCOUNT = Kind("v1", "serviceaccounts", "ServiceAccount")
CLAIM = Kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim")
CONFIG_MAP = Kind("v1", "configmaps", "ConfigMap")
SERVICE = Kind("v1", "services", "Service")
POD = Kind("v1", "pods", "Pod")
EVENT = Kind("v1", "events", "Event")
JOB = Kind("batch/v1", "jobs", "Job")
DEPLOYMENT = Kind("apps/v1", "deployments", "Deployment")
DISRUPTION_BUDGET = Kind("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy")
SECRET = Kind("v1", "secrets", "Secret")
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "tokenreviews", "TokenReview")
ACCESS_REVIEW = Kind("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview")
LEASE = Kind("coordination.k8s.io/v1", "leases", "Lease")

CHILDREN = (
    SERVICE_ACCOUNT,
    CLAIM,
    CONFIG_MAP,
    SERVICE,
    JOB,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    NETWORK_POLICY,
)
"""The kinds of children: all are listed, watched and repaired."""

_BY_NAME = {kind.kind: kind for kind in CHILDREN}


def kind_of(document: dict[str, object]) -> Kind:
    """Return the kind of a child document."""
    return _BY_NAME[str(document["kind"])]
