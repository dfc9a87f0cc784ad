"""Names that more than one program must spell alike: the API, labels, paths, ports."""

GROUP = "slipstream.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "AgentDeployment"
PLURAL = "agentdeployments"

FIELD_MANAGER = "slipstream-operator"

LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_RECIPE = f"{GROUP}/recipe"
ANNOTATION_SPEC_HASH = f"{GROUP}/spec-hash"
ANNOTATION_ARTIFACT = f"{GROUP}/artifact"

HTTP_PORT = 8000
GRPC_PORT = 8001
METRICS_PORT = 8002
REDIS_PORT = 6379

ARTIFACTS_PATH = "/var/lib/slipstream/artifacts"
RECIPE_PATH = "/etc/slipstream/recipe.json"
TERMINATION_PATH = "/dev/termination-log"
CLAIMS_PATH = "/mnt/claims"
"""Where `pvc://CLAIM/PATH` is mounted: `/mnt/claims/CLAIM/PATH`."""

SECRETS_PATH = "/mnt/secrets"
"""Where the credentials of a source are mounted: `/mnt/secrets/SECRET/KEY`."""

KEYS_FILE = "keys"
"""The file, and the Secret's key, of accepted bearer tokens: one NAME:SHA256_HEX a line."""

TOKEN_FILE = "token"  # noqa: S105  (its name)
"""The file, and the Secret's key, of the token that was made for the user; replicas never see it."""

REDIS_FILE = "url"
"""The Secret's key that holds the address of a shared cache."""

VARIANT_FILE = "variant"
"""The file, and the ConfigMap's key, that names the variant which replicas answer with."""

VARIANT_PATH = "/etc/slipstream/variant"
"""The folder of a replica where that ConfigMap is mounted."""

RECIPES_FOLDER = "recipes"
"""Below the artifact store: `recipes/RECIPE_DIGEST.json`, the summary of a finished build."""


def artifact_folder(artifact_digest: str) -> str:
    """Return the folder of an artifact below the artifact store."""
    return f"sha256-{artifact_digest}"
