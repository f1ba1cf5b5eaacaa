"""The conformance suites catch what they are for: every broken component here fails the test that is named."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installed import environment

HEAD = """
import pickle, threading, time
import numpy as np
from pydantic import Field
from reasonrec_core.components import Settings
from reasonrec_core.ranking import rank
from reasonrec_core.types import *
from reasonrec_core.testing import (
    DelegateConformance, EditablePolicyConformance, EncoderConformance, PolicyConformance, UncertaintyConformance
)
from dataclasses import replace
from reasonrec_core.testing.toy_policy import ConsultingToyPolicy, ToyPolicy
from sound import Loyal, Rarity, Trending, Trigrams, TrigramsConfig
random = np.random.default_rng()
"""

SCORE = "def score(self, batch, observation):\n    scores = super().score(batch, observation)\n    "
ANSWER = "def deliberate(self, batch, observation):\n    answer = super().deliberate(batch, observation)\n    "
EDITED = (
    "def deliberate(self, batch, observation, edits=None):\n"
    "    answer = super().deliberate(batch, observation, edits)\n    "
)
CONSULTED = (
    "def consult(self, batch, observation, answers):\n    answer = super().consult(batch, observation, answers)\n    "
)
CAUSE = "def attribution(self, batch, observation):\n    found = super().attribution(batch, observation)\n    "
ESTIMATE = (
    "def estimate(self, batch, observation, answer):\n    found = super().estimate(batch, observation, answer)\n    "
)
ENCODE = "def encode(self, inputs):\n    vectors = super().encode(inputs)\n    "

BROKEN: dict[str, tuple[str, str, str]] = {
    # name: (base, body, test that must fail)
    "wrong_type": ("Trending", SCORE + "return scores.astype(float)", "test_scores_every_item"),
    "wrong_shape": ("Trending", SCORE + "return scores[:, :-1]", "test_scores_every_item"),
    "nan": ("Trending", SCORE + "scores[:, 0] = np.nan\n    return scores", "test_scores_every_item"),
    "a_list": ("Trending", SCORE + "return scores.tolist()", "test_scores_every_item"),
    "ignores_candidates": (
        "Trending",
        "def score(self, batch, observation):\n    return np.tile(self.scores, (len(batch), 1))",
        "test_scores_every_item",
    ),
    "all_equal": ("Trending", SCORE + "return np.zeros_like(scores)", "test_tells_items_apart"),
    "recommends_the_history": (
        "Trending",
        "def recommend(self, batch, observation):\n"
        "    return rank(self.score(batch, observation), replace(batch, history=History.of([[]] * len(batch))))",
        "test_recommends_the_best_scores_first",
    ),
    "worst_first": (
        "Trending",
        "def recommend(self, batch, observation):\n    return rank(-self.score(batch, observation), batch)",
        "test_recommends_the_best_scores_first",
    ),
    "needs_a_known_user": (
        "Trending",
        SCORE + "assert (batch.users >= 0).all()\n    return scores",
        "test_answers_at_the_edges",
    ),
    "needs_a_history": (
        "Trending",
        SCORE
        + "batch.history.items[batch.history.indptr[:-1]]\n    assert batch.history.lengths.all()\n    return scores",
        "test_answers_at_the_edges",
    ),
    "cannot_pad": (
        "Trending",
        "def recommend(self, batch, observation):\n    assert batch.k < 40\n"
        "    return super().recommend(batch, observation)",
        "test_answers_at_the_edges",
    ),
    "scores_depend_on_the_batch": ("Trending", SCORE + "return scores / len(batch)", "test_one_query_gets"),
    "gives_away_its_own_array": (
        "Trending",
        "def score(self, batch, observation):\n"
        "    if not hasattr(self, 'kept'):\n        self.kept = super().score(batch, observation)\n"
        "    return self.kept",
        "test_changes_nothing",
    ),
    "writes_into_the_history": (
        "Trending",
        SCORE + "batch.history.items[:] = 0\n    return scores",
        "test_changes_nothing",
    ),
    "no_seed": (
        "Trending",
        "def fit(self, data):\n    super().fit(data)\n    self.scores += random.random(len(self.scores), np.float32)",
        "test_same_seed_same_scores",
    ),
    "load_forgets": (
        "Trending",
        "@classmethod\ndef load(cls, folder, catalog):\n    new = super().load(folder, catalog)\n"
        "    new.scores[::2] = 0\n    return new",
        "test_loaded_it_answers_as_before",
    ),
    "knows_the_old_catalogue_only": (
        "Trending",
        "@classmethod\ndef load(cls, folder, catalog):\n    new = super().load(folder, catalog)\n"
        "    new.scores = new.scores[:40]\n    return new",
        "test_serves_items_that_came_after_the_fit",
    ),
    "forgets_when_the_catalogue_grows": (
        "Trending",
        "@classmethod\ndef load(cls, folder, catalog):\n    new = super().load(folder, catalog)\n"
        "    new.scores[: len(catalog) - 40] = 0\n    return new",
        "test_new_items_leave_the_scores_of_old_ones",
    ),
    "pickles": (
        "Trending",
        "def save(self, folder):\n    super().save(folder)\n"
        "    (folder / 'x.bin').write_bytes(pickle.dumps(self.scores))",
        "test_saves_no_pickle",
    ),
    "objects_in_npy": (
        "Trending",
        "def save(self, folder):\n    super().save(folder)\n"
        "    np.save(folder / 'x.npy', np.array([{}], dtype=object))",
        "test_saves_no_pickle",
    ),
    "forgets_its_settings": (
        "Trending",
        "def save(self, folder):\n    np.save(folder / 'scores.npy', self.scores)",
        "test_saves_no_pickle",
    ),
    "needs_validation": (
        "Trending",
        "def fit(self, data):\n    super().fit(data)\n    len(data.valid)",
        "test_fits_without_validation",
    ),
    "needs_features": (
        "Trending",
        SCORE + "observation.features['text']\n    return scores",
        "test_fits_without_validation",
    ),
    "not_thread_safe": (
        "Trending",
        "def score(self, batch, observation):\n    self.batch = batch\n    time.sleep(0.01)\n"
        "    return super().score(self.batch, observation)",
        "test_threads_get_the_same_answers",
    ),
    "undescribed_setting": (
        "Trending",
        "class Config(Settings):\n    half_life: float = 3.0",
        "test_settings_are_described",
    ),
    "lenient_settings": (
        "Trending",
        "class Config(Settings, extra='ignore'):\n    half_life: float = Field(3.0, description='x')",
        "test_unknown_settings_are_refused",
    ),
    "invalid_default": (
        "Trending",
        "class Config(Settings):\n    half_life: float = Field(-3.0, gt=0, description='x')",
        "test_settings_are_described",
    ),
    "evidence_outside_the_history": (
        "Loyal",
        ANSWER + "steps = [(*s, Step(StepKind.DECIDE, 'x', (999,))) for s in answer.steps]\n"
        "    return replace(answer, steps=steps)",
        "test_steps_say",
    ),
    "evidence_from_no_field": (
        "Loyal",
        ANSWER + "steps = [(*s, Step(StepKind.DECIDE, 'x', ('aura',))) for s in answer.steps]\n"
        "    return replace(answer, steps=steps)",
        "test_steps_say",
    ),
    "a_story_afterwards": (
        "Loyal",
        ANSWER + "return replace(answer, steps=[s[-1:] for s in answer.steps])",
        "test_steps_say",
    ),
    "steps_out_of_order": (
        "Loyal",
        ANSWER + "return replace(answer, steps=[s[::-1] for s in answer.steps])",
        "test_steps_say",
    ),
    "too_few_steps": ("Loyal", ANSWER + "return replace(answer, steps=[])", "test_answers_the_task"),
    "mass_above_one": ("Loyal", ANSWER + "return replace(answer, mass=answer.mass * 50)", "test_answers_the_task"),
    "overconfident": (
        "Loyal",
        ANSWER + "return replace(answer, confidence=answer.confidence + 1)",
        "test_answers_the_task",
    ),
    "no_ranking": ("Loyal", ANSWER + "return replace(answer, ranking=None)", "test_answers_the_task"),
    "afraid_of_new_items": (
        "Loyal",
        ANSWER + "assert (batch.history.items < 40).all()\n    return answer",
        "test_serves_items_that_came_after_the_fit",
    ),
    "mood": (
        "Loyal",
        ANSWER + "return replace(answer, confidence=random.random(len(batch), np.float32))",
        "test_same_seed_same_answer",
    ),
    "deaf_to_edits": (
        "ToyPolicy",
        "def deliberate(self, batch, observation, edits=None):\n    return super().deliberate(batch, observation)",
        "test_what_is_ignored_no_longer_counts",
    ),
    "deaf_to_assumptions": (
        "ToyPolicy",
        "def deliberate(self, batch, observation, edits=None):\n"
        "    return super().deliberate(batch, observation, Edits(edits.relevance) if edits else None)",
        "test_an_assumed_label_gets_more",
    ),
    "hides_that_it_was_edited": (
        "ToyPolicy",
        EDITED + "steps = [tuple(replace(x, edited=False) for x in s) for s in answer.steps]\n"
        "    return replace(answer, steps=steps)",
        "test_an_assumed_label_gets_more",
    ),
    "always_edited": (
        "ToyPolicy",
        EDITED + "steps = [tuple(replace(x, edited=True) for x in s) for s in answer.steps]\n"
        "    return replace(answer, steps=steps)",
        "test_without_edits_the_answer_stays",
    ),
    "no_mass": ("ToyPolicy", EDITED + "return replace(answer, mass=None)", "test_states_the_mass"),
    "blames_the_innocent": ("ToyPolicy", CAUSE + "return found.max() - found", "test_cites_what_has_the_largest"),
    "negative_causes": ("ToyPolicy", CAUSE + "return -found", "test_what_is_ignored_no_longer_counts"),
    "causes_by_chance": (
        "ToyPolicy",
        "def attribution(self, batch, observation):\n    return random.random(len(batch.history.items), np.float32)",
        "test_attribution_is_the_same",
    ),
    "recommends_what_is_ignored": (
        "ToyPolicy",
        "def deliberate(self, batch, observation, edits=None):\n"
        "    if edits:\n        batch = replace(batch, history=History.of([[]] * len(batch)))\n"
        "        edits = None\n"
        "    return super().deliberate(batch, observation, edits)",
        "test_what_is_ignored_no_longer_counts",
    ),
    "edits_of_the_whole_batch": (
        "ToyPolicy",
        "def deliberate(self, batch, observation, edits=None):\n"
        "    if edits and edits.assume:\n"
        "        edits = Edits(edits.relevance, {k: np.full_like(v, v.max()) for k, v in edits.assume.items()})\n"
        "    return super().deliberate(batch, observation, edits)",
        "test_edited_queries_get_the_same_answer_alone",
    ),
    "forgets_its_labels": (
        "ToyPolicy",
        "@classmethod\ndef load(cls, folder, catalog):\n    new = super().load(folder, catalog)\n"
        "    new._labels = {k: v[::-1] for k, v in new._labels.items()}\n    return new",
        "test_loaded_it_is_edited_as_before",
    ),
    "labels_of_the_new_catalogue": (
        "ToyPolicy",
        "@classmethod\ndef load(cls, folder, catalog):\n    new = super().load(folder, catalog)\n"
        "    new._read(catalog, len(catalog))\n    return new",
        "test_items_that_came_after_the_fit_carry",
    ),
    "beliefs_beyond_one": (
        "ToyPolicy",
        "def infer_labels(self, batch, observation):\n"
        "    return {k: v * 2 for k, v in super().infer_labels(batch, observation).items()}",
        "test_infers_a_distribution",
    ),
    "members_of_another_catalogue": (
        "ToyPolicy",
        "def membership(self, field):\n    return super().membership(field)[:-1]",
        "test_labels_and_their_items",
    ),
    "repeats_what_delegates_say": (
        "ConsultingToyPolicy",
        CONSULTED + "for ranking in answers.values():\n        answer = replace(answer, ranking=ranking, mass=None)\n"
        "    return answer",
        "test_consulted_it_answers_among_what_it_may",
    ),
    "lost_without_delegates": (
        "ConsultingToyPolicy",
        CONSULTED + "assert answers\n    return answer",
        "test_consulted_it_answers_among_what_it_may",
    ),
    "consulted_in_a_mood": (
        "ConsultingToyPolicy",
        CONSULTED + "return replace(answer, confidence=random.random(len(batch), np.float32))",
        "test_consulted_it_answers_among_what_it_may",
    ),
    "above_one": ("Rarity", ESTIMATE + "return replace(found, total=found.total * 9)", "test_says_how_unsure"),
    "constant": (
        "Rarity",
        ESTIMATE + "return replace(found, total=np.full_like(found.total, 0.5))",
        "test_says_how_unsure",
    ),
    "another_stage": ("Rarity", ESTIMATE + "return replace(found, stage='after')", "test_says_how_unsure"),
    "no_stage": ("Rarity", "stage = 'sometimes'", "test_stage_is"),
    "wants_an_answer_before": (
        "Rarity",
        ESTIMATE + "answer.confidence\n    return found",
        "test_says_how_unsure",
    ),
    "one_vector_for_all": ("Trigrams", ENCODE + "return np.ones_like(vectors)", "test_gives_one_vector"),
    "not_finite": ("Trigrams", ENCODE + "vectors[0] = np.inf\n    return vectors", "test_gives_one_vector"),
    "one_too_few": ("Trigrams", ENCODE + "return vectors[1:]", "test_gives_one_vector"),
    "random_vectors": (
        "Trigrams",
        ENCODE + "return vectors + random.random(vectors.shape, np.float32)",
        "test_same_vectors",
    ),
    "centred_in_the_batch": ("Trigrams", ENCODE + "return vectors - vectors.mean(0)", "test_one_input_gets"),
    "afraid_of_long_texts": (
        "Trigrams",
        ENCODE + "assert max(map(len, inputs)) < 5000\n    return vectors",
        "test_odd_inputs",
    ),
    "restless_fingerprint": (
        "Trigrams",
        "def fingerprint(self):\n    return str(time.perf_counter_ns())",
        "test_fingerprint_is_stable",
    ),
    "one_fingerprint_for_every_fit": (
        "Trigrams",
        "def fit(self, data):\n    self.shift = np.float32(len(data.train))\n"
        "def encode(self, inputs):\n    return super().encode(inputs) + self.shift",
        "test_what_it_learned_is_in_its_fingerprint",
    ),
    "one_fingerprint_for_every_seed": (
        "Trigrams",
        "def fit(self, data):\n    self.shift = np.random.default_rng(data.seed).random(1, np.float32)\n"
        "def encode(self, inputs):\n    return super().encode(inputs) + self.shift",
        "test_what_it_learned_is_in_its_fingerprint",
    ),
    "weights_from_nowhere": (
        "Trigrams",
        "def provenance(self):\n    return {'source': 'somewhere'}",
        "test_says_where_its_weights",
    ),
}
SUITE = {
    "Trending": "Delegate",
    "Loyal": "Policy",
    "ToyPolicy": "EditablePolicy",
    "ConsultingToyPolicy": "EditablePolicy",
    "Rarity": "Uncertainty",
    "Trigrams": "Encoder",
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Names of the failed tests by broken component, from one run of the tests that are for them.

    What they are made from runs its whole suite there, too, and nothing of it fails.
    """
    site = tmp_path_factory.mktemp("site")
    shutil.copy(Path(__file__).parent.parent / "sound.py", site)
    code = [HEAD]
    for name, (base, body, _) in BROKEN.items():
        indented = "\n".join(f"    {line}" for line in body.splitlines())
        code.append(f"class {name}({base}):\n    '''Broken.'''\n{indented}\n")
        few = "    steps = frozenset({StepKind.DECIDE})\n" if base.endswith("ToyPolicy") else ""
        code.append(f"class Test_{name}({SUITE[base]}Conformance):\n    component = {name}\n{few}")
    for base, suite in SUITE.items():
        steps = "steps = frozenset({StepKind.OBSERVE, StepKind.INFER, StepKind.DECIDE})"
        code.append(f"class Test_sound_{base}({suite}Conformance):\n    component = {base}\n")
        code.append(f"    {steps}\n" if base.endswith("ToyPolicy") else "")
    site.joinpath("test_broken.py").write_text("\n".join(code))
    meant = [f"(Test_{name} and {test})" for name, (_, _, test) in BROKEN.items()]
    command = [sys.executable, "-m", "pytest", "-v", "--tb=no", "-p", "no:cacheprovider", "test_broken.py"]
    command += ["-k", " or ".join(["Test_sound", *meant])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=site, env=environment(site))
    found: dict[str, set[str]] = {name: set() for name in BROKEN}
    for name, test in re.findall(r"::Test_(\w+)::(\w+)\S* (?:FAILED|ERROR)", done.stdout):
        found.setdefault(name, set()).add(test)
    assert len(re.findall(r"::Test_sound_\w+::\S+ PASSED", done.stdout)) > 50, done.stdout[-3000:]
    assert set(found) == set(BROKEN), "what is sound passes"
    return found


def test_every_broken_component_is_caught_by_the_test_that_is_for_it(failures: dict[str, set[str]]) -> None:
    missed = {
        name: sorted(failures[name])
        for name, (_, _, test) in BROKEN.items()
        if not any(failed.startswith(test) for failed in failures[name])
    }
    assert missed == {}
    assert len(BROKEN) > 40
