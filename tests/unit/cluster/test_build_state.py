from slipstream_contract.summary import BuildSummary
from slipstream_operator.cluster.build_state import build_of
from slipstream_operator.cluster.pod_state import replicas_of, trouble
from slipstream_testing.observations import make_summary

COMPLETE = {"type": "Complete", "status": "True"}
FAILED = {"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "exit code 2"}


def job(*conditions, summary=None, **status):
    annotations = {"slipstream.dev/build-summary": summary} if summary else {}
    return {"metadata": {"name": "b", "annotations": annotations}, "status": {"conditions": list(conditions), **status}}


def ended(code, message, at="2026-11-23T12:00:00Z", **more):
    state = {"terminated": {"exitCode": code, "message": message, "finishedAt": at, **more}}
    return {"metadata": {}, "status": {"phase": "Failed", "containerStatuses": [{"name": "builder", "state": state}]}}


def waiting(reason, message=""):
    state = {"waiting": {"reason": reason, "message": message}}
    return {"metadata": {}, "status": {"phase": "Pending", "containerStatuses": [{"name": "builder", "state": state}]}}


MISTAKE = BuildSummary("InvalidSource", "m.onnx: truncated", "r")


def test_no_job_is_no_build():
    assert build_of(None, []).phase == "Absent"


def test_a_job_without_verdict_runs():
    assert build_of(job(), []).phase == "Running"
    assert build_of(job(failed=1), []).message == "the builder's pod is starting (attempt 2)"


def test_a_pod_that_cannot_start_says_why():
    build = build_of(job(), [waiting("ImagePullBackOff", "no such image builder:1")])

    assert build.message == "builder: ImagePullBackOff; no such image builder:1"


def test_a_pod_that_is_being_made_is_no_trouble():
    assert trouble(waiting("ContainerCreating")) == ""


def test_an_unschedulable_pod_says_why():
    unschedulable = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: Insufficient memory"}

    assert "Insufficient memory" in trouble({"metadata": {}, "status": {"conditions": [unschedulable]}})


def test_the_last_words_of_the_last_builder_count():
    early, late = ended(1, "", "2026-11-23T12:00:00Z"), ended(0, make_summary().to_json(), "2026-11-23T12:05:00Z")

    assert build_of(job(COMPLETE), [late, early]).summary == make_summary()


def test_a_summary_kept_on_the_job_outlives_its_pods():
    assert build_of(job(COMPLETE, summary=make_summary().to_json()), []).phase == "Succeeded"


def test_a_result_that_nobody_read_in_time_is_to_be_built_again():
    assert build_of(job(COMPLETE), []).phase == "Absent"


def test_a_builder_that_succeeded_is_believed_before_its_job_notices():
    assert build_of(job(), [ended(0, make_summary().to_json())]).phase == "Succeeded"


def test_a_builder_that_failed_may_be_tried_again_by_its_job():
    assert build_of(job(failed=1), [ended(1, BuildSummary("Internal", "crash", "r").to_json())]).phase == "Running"


def test_a_users_mistake_is_told_in_the_builders_words_and_how_to_try_again():
    build = build_of(job(FAILED), [ended(2, MISTAKE.to_json())])

    assert build.phase == "Failed"
    assert build.summary == MISTAKE
    assert build.message == "m.onnx: truncated; to build the same spec again, delete job b"


def test_a_builder_without_last_words_is_described():
    assert "ran out of memory" in build_of(job(FAILED), [ended(137, "", reason="OOMKilled")]).message
    assert "exit status 139" in build_of(job(FAILED), [ended(139, "Segmentation fault")]).message
    late = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    assert "budgetSeconds" in build_of(job(late), []).message


def test_only_pods_that_live_are_replicas():
    def pod(uid, phase="Running", ready="True", **metadata):
        meta = {
            "uid": uid,
            "creationTimestamp": "2026-11-23T12:00:00Z",
            "annotations": {"slipstream.dev/revision": "r"},
        }
        return {
            "metadata": {**meta, **metadata},
            "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
        }

    pods = [pod("a"), pod("b", ready="False"), pod("c", phase="Failed"), pod("d", deletionTimestamp="now")]

    replicas = replicas_of(pods, "r", "", lambda _: 7.0)

    assert [(r.uid, r.ready, r.current, r.started_at) for r in replicas] == [
        ("a", True, True, 7),
        ("b", False, True, 7),
    ]
