"""The operator without an API server for a while, and the operator of a whole cluster."""

from slipstream_testing.deployed import Deployed
from slipstream_testing.operator_process import OperatorProcess, operated_namespace, remove_cluster_rights
from slipstream_testing.waiting import eventually


def test_it_outlives_the_api_server_even_when_that_costs_it_the_lead(control_plane, kubelet):
    with operated_namespace(control_plane) as (namespace, operator):
        before = Deployed(control_plane, kubelet, namespace, "before")
        before.apply()
        eventually(lambda: before.children("pods"))

        control_plane.stop_apiserver()
        eventually(lambda: "could not be renewed" in operator.words())
        control_plane.start_apiserver()
        after = Deployed(control_plane, kubelet, namespace, "after")
        after.apply()

        after.wait_for("ArtifactBuilt", "False", "Building")
        before.finish_build()
        before.wait_for("ArtifactBuilt", "True", "Built")
        assert operator.alive


def test_one_operator_serves_all_namespaces(control_plane, kubelet, namespace):
    with OperatorProcess(control_plane, namespace, everywhere=True) as operator:
        eventually(lambda: "leading as" in operator.words())
        agent = Deployed(control_plane, kubelet, namespace)
        agent.apply()
        agent.wait_for("ArtifactBuilt", "False", "Building")
        agent.finish_build()
        agent.wait_for("ArtifactBuilt", "True", "Built")
    remove_cluster_rights(control_plane)
