"""A Hypothesis state machine: users, strangers, pods, builds, faults and time in any order, held to the reference."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from slipstream_contract.summary import Reason
from slipstream_testing.states import invariants, pods
from slipstream_testing.states.cluster import AGENT, MadeUpCluster
from slipstream_testing.states.kube import FAULTS, Fault, FaultKind
from slipstream_testing.states.model import Model
from slipstream_testing.states.node import BUILDS
from slipstream_testing.states.store import Document
from slipstream_testing.states.strangers import EDITS, TAKEN, Strangers
from slipstream_testing.states.traffic import FIGURES, RATES
from slipstream_testing.states.wishes import TABLES, Wish, admitted

NAMES = ("alpha", "beta")
BEAT_SECONDS = 2.0
REST_ROUNDS, REST_SECONDS = 120, 400.0
"""By then the longest window of scaling in, five minutes, is over."""

names = st.sampled_from(NAMES)
beats = st.integers(0, 3)
which = st.integers(0, 11)
parts = st.tuples(st.sampled_from(sorted(TABLES)), st.integers(0, 5))


class OperatorMachine(RuleBasedStateMachine):
    """One made-up cluster and all that may happen in it; `steps` counts what happened, over all machines."""

    steps = 0

    def __init__(self) -> None:
        """Begin with an empty cluster."""
        super().__init__()
        self.cluster = MadeUpCluster()
        self.store, self.node, self.kube = self.cluster.store, self.cluster.node, self.cluster.kube
        self.model = Model(self.store)
        self.strangers = Strangers(self.store)
        self.awake = True
        self._wishes: dict[str, Wish] = {}

    def teardown(self) -> None:
        """Come to rest, and end."""
        try:
            self.rest()
        finally:
            self.cluster.close()

    @rule(name=names, part=parts, beats=beats)
    def users_apply(self, name: str, part: tuple[str, int], beats: int) -> None:
        """Create an AgentDeployment, or change one part of its spec."""
        key, index = part
        before = self._wishes.get(name, Wish())
        self._apply(name, before.put(key, index % len(TABLES[key])))
        self._pass(beats)

    @rule(name=names, place=st.none() | st.integers(0, 3), beats=beats)
    def users_pin(self, name: str, place: int | None, beats: int) -> None:
        """Go back to a kept revision, to one that nobody knows, or on to the present spec."""
        live = self.cluster.agent(name)
        if live is not None:
            kept = [revision["name"] for revision in live.get("status", {}).get("revisions", [])]
            wanted = None if place is None else [*kept, "feedfacecafe"][min(place, len(kept))]
            self._apply(name, self._wishes[name].put("revision", wanted))
        self._pass(beats)

    @rule(name=names, again=st.booleans(), beats=beats)
    def users_delete(self, name: str, again: bool, beats: int) -> None:
        """Delete an AgentDeployment, and perhaps create it anew at once."""
        live, wish = self.cluster.agent(name), self._wishes.pop(name, None)
        if live is not None and wish is not None:
            self.store.remove(live)
            if again:
                self._apply(name, wish)
        self._pass(beats)

    @rule(name=names, replicas=st.integers(0, 5), beats=beats)
    def an_autoscaler_scales(self, name: str, replicas: int, beats: int) -> None:
        """Write the scale subresource in mode External."""
        live = self.cluster.agent(name)
        if live is not None and live["spec"]["scaling"]["mode"] == "External":
            scaling = {**live["spec"]["scaling"], "replicas": replicas}
            self.store.change(live, spec={**live["spec"], "scaling": scaling})
        self._pass(beats)

    @rule(name=names, child=which, what=st.sampled_from(EDITS), beats=beats)
    def strangers_edit_a_child(self, name: str, child: int, what: str, beats: int) -> None:
        """Change a child."""
        if (found := self._child(name, child)) is not None:
            self.strangers.edit(found, what)
        self._pass(beats)

    @rule(name=names, child=which, force=st.booleans(), beats=beats)
    def strangers_delete_a_child(self, name: str, child: int, force: bool, beats: int) -> None:
        """Delete a child, be it the Job that builds or the claim of all artifacts, which `force` takes from pods."""
        if (found := self._child(name, child)) is not None:
            self._note_keys(name, found)
            (self.store.remove if force else self.store.delete)(found)
        self._pass(beats)

    @rule(name=names, kind=st.sampled_from(TAKEN), copycat=st.booleans(), beats=beats)
    def strangers_take_a_name(self, name: str, kind: str, copycat: bool, beats: int) -> None:
        """Create an object of theirs where a child would be."""
        self.strangers.take(name, kind, copycat=copycat)
        self._pass(beats)

    @precondition(lambda self: self.strangers.objects)
    @rule(beats=beats)
    def strangers_leave(self, beats: int) -> None:
        """Remove all objects of theirs."""
        self.strangers.leave()
        self._pass(beats)

    @precondition(lambda self: self.node.builders())
    @rule(place=which, reason=st.sampled_from(BUILDS), compressed=st.booleans(), beats=beats)
    def a_build_ends(self, place: int, reason: Reason, compressed: bool, beats: int) -> None:
        """End a builder with a summary: compressed, uncompressed because the gate refused all, or failed."""
        self._end_build(place, reason, compressed=compressed)
        self._pass(beats)

    @precondition(lambda self: self.node.builders())
    @rule(place=which, beats=beats)
    def a_build_succeeds(self, place: int, beats: int) -> None:
        """End a builder well: without this most lives would never serve."""
        self._end_build(place, "Succeeded", compressed=True)
        self._pass(beats)

    @precondition(lambda self: self.node.builders())
    @rule(place=which, beats=beats)
    def a_builder_crashes(self, place: int, beats: int) -> None:
        """End a builder without a word."""
        found = self.node.builders()
        self.node.end(found[place % len(found)], 137, "")
        self._pass(beats)

    @precondition(lambda self: self.node.replicas())
    @rule(place=which, beats=beats)
    def a_replica_dies(self, place: int, beats: int) -> None:
        """End a replica."""
        found = self.node.replicas()
        self.node.end(found[place % len(found)], 137, "")
        self._pass(beats)

    @rule(state=st.sampled_from(["well", "well", "crashing", "full"]), beats=beats)
    def the_node_becomes(self, state: pods.NodeState, beats: int) -> None:
        """Let what starts from now on start, crash or find no place."""
        self.node.state = state
        self._pass(beats)

    @rule(kind=st.sampled_from(FAULTS), passing=st.integers(0, 30), beats=beats)
    def the_api_server_fails(self, kind: FaultKind, passing: int, beats: int) -> None:
        """Let a call go wrong, soon."""
        self.kube.fault = Fault(kind, passing)
        self._pass(beats)

    @rule(beats=beats)
    def the_operator_restarts(self, beats: int) -> None:
        """Let the operator forget everything."""
        self.cluster.restart()
        self._pass(beats)

    @rule(awake=st.booleans(), beats=beats)
    def the_operator_goes_or_comes(self, awake: bool, beats: int) -> None:
        """Let the operator be away, as while it is upgraded."""
        self.awake = awake
        self._pass(beats)

    @rule(late=st.booleans(), beats=beats)
    def watches_are_late(self, late: bool, beats: int) -> None:
        """Let what the operator lists be as it was now, or as it is."""
        if late:
            self.kube.lag()
        else:
            self.kube.catch_up()
        self._pass(beats)

    @rule(rate=st.sampled_from(RATES), figures=st.sampled_from(FIGURES), beats=beats)
    def traffic_changes(self, rate: float, figures: str, beats: int) -> None:
        """Let replicas have other traffic, or say other things of it."""
        self.cluster.figures.rate, self.cluster.figures.figures = rate, figures
        self._pass(beats)

    @rule(seconds=st.sampled_from([5.0, 40.0, 130.0, 700.0]), beats=beats)
    def time_passes(self, seconds: float, beats: int) -> None:
        """Let seconds or minutes pass at once."""
        self.cluster.surroundings(seconds)
        self._pass(beats)

    @rule(beats=st.integers(3, 12))
    def all_work(self, beats: int) -> None:
        """Let everybody work on."""
        self._pass(beats)

    @rule(chance=st.integers(0, 3))
    def all_rests(self, chance: int) -> None:
        """Come to rest in the middle of a life, now and then."""
        if chance == 0:
            self.rest()
        self._pass(1)

    def rest(self) -> None:
        """End all faults, wait until nothing changes, and hold what is there to the reference."""
        self.kube.fault, self.awake, self.node.state = None, True, "well"
        self.kube.catch_up()
        self.cluster.figures.rate, self.cluster.figures.figures = 0.0, "good"
        settled = self._settle()
        if self.strangers.objects:
            return
        for live in self.store.of_kind(AGENT):
            if invariants.at_rest(self.cluster, self.model, live):
                late = [
                    write for write in self.kube.writes[settled:] if write[1][1].startswith(live["metadata"]["name"])
                ]
                assert not late, f"all is well, and it still writes {late}"
        invariants.nothing_is_left_over(self.cluster)

    def _settle(self) -> int:
        """Let time pass until nothing changes, and return how many calls had written when that began."""
        began, quiet, settled = self.cluster.clock.seconds, 0, 0
        for number in range(REST_ROUNDS):
            before = self._written()
            self._beat(5.0 if number < 20 or quiet else 30.0)
            quiet = quiet + 1 if before == self._written() else 0
            settled = settled if quiet > 1 else len(self.kube.writes)
            if quiet >= 3 and self.cluster.clock.seconds - began >= REST_SECONDS:
                return settled
            if quiet >= 3:
                self.cluster.clock.seconds += 60.0
        assert self.strangers.objects, f"it still writes: {self.kube.writes[-5:]}"
        return settled

    def _written(self) -> tuple[int, int]:
        """Return what grows with every change and every write.

        That a token is made is tried for as long as replicas do not start, and is no change while there is one.
        """
        return self.store.version, sum(place[0] != "Secret" for _, place in self.kube.writes)

    def _apply(self, name: str, wish: Wish) -> None:
        self._wishes[name] = wish
        live, wanted = self.cluster.agent(name), admitted(name, wish)
        if live is None:
            self.store.put(wanted)
            return
        given = live["spec"]["scaling"].get("replicas")
        if wanted["spec"]["scaling"]["mode"] == "External" == live["spec"]["scaling"]["mode"] and given is not None:
            wanted["spec"]["scaling"]["replicas"] = given  # an autoscaler's field is not the user's to remove
        self.store.change(live, spec=wanted["spec"])

    def _child(self, name: str, place: int) -> Document | None:
        live = self.cluster.agent(name)
        children = self.strangers.children(live) if live is not None else []
        if live is None or not children:
            return None
        self.model.history(live).disturbed = True
        return children[place % len(children)]

    def _note_keys(self, name: str, child: Document) -> None:
        live = self.cluster.agent(name)
        if live is not None and child["kind"] == "Secret":
            self.model.history(live).keyless = True

    def _end_build(self, place: int, reason: Reason, *, compressed: bool) -> None:
        found = self.node.builders()
        pod = found[place % len(found)]
        self.model.built(pod, self.node.finish(pod, reason, compressed=compressed))

    def _pass(self, beats: int) -> None:
        """Let a second pass, and as many beats of everybody's work."""
        type(self).steps += 1
        self.cluster.clock.seconds += 1.0
        for _ in range(beats):
            self._beat(BEAT_SECONDS)

    def _beat(self, seconds: float) -> None:
        self.cluster.surroundings(seconds)
        for name in NAMES:
            if self.awake:
                self._turn(name)

    def _turn(self, name: str) -> None:
        """Let the operator have one turn, and hold what it did to what must always hold."""
        before, written = self.cluster.agent(name), len(self.kube.writes)
        error = self.cluster.turn(name)
        excused = self.kube.struck or self.strangers.objects or self.kube.behind is not None
        assert error is None or excused, error
        assert self.strangers.are_untouched()
        invariants.nothing_secret_is_told(self.cluster, self.kube.writes[written:])
        if before is not None:
            invariants.after_turn(self.cluster, self.model, before, error is None)
