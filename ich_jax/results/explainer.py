"""A run's network, and those that know nothing, asked about one slice: its maps, and the numbers beside them."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ich_jax.paper.metrics import log_softmax
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import TrainState, Tree
from ich_jax.results import map_checks
from ich_jax.results.saliency import grad_cam, gradient_saliency, occlusion
from ich_jax.training.network import Network

MAPS = ("gradient", "Grad-CAM", "occlusion")
TRAINED, RANDOM, SHUFFLED = "trained", "random weights", "shuffled labels"
BRIGHTEST, BOX, BLOOD = "brightest pixels", "random box", "the blood itself"
ON_BLOOD = ("mass_on_blood", "marked_on_blood")
CHECKS = ("mass_outside_head", "rank_correlation", "marked_covered", "elsewhere_covered")
PLACES = 8  # elsewhere, for each marked part
BOXES = 100


class Answer(NamedTuple):
    """What came of one slice."""

    named: str
    probability: float
    maps: dict[str, dict[str, np.ndarray]]  # network → map → (size, size)
    rows: list[dict]  # {"map", "network", "empty", *ON_BLOOD, *CHECKS}; NaN where there is nothing to say


class Explainer:
    """Asks about one slice at a time.

    Args:
        network: the structure that all have.
        states: TRAINED and those to hold it against.
        percent: of the head's pixels, that count as marked.
    """

    def __init__(self, network: Network, states: dict[str, TrainState], percent: float):
        self.network, self.states, self.percent = network, states, percent
        self._maps = _compiled(network.structure)

    def explain(self, image: np.ndarray, blood: np.ndarray | None) -> Answer:
        """
        Args:
            image: (size, size, 3) uint8.
            blood: (size, size) bool, or None if nobody knows or there is none.
        """
        rng = np.random.default_rng(image.sum(dtype=np.int64))  # the same slice, the same draws, in whatever company
        probabilities = self._probabilities([image])[0]
        k = int(probabilities.argmax())
        head = map_checks.head_of(image)
        cover = map_checks.cover_of(image, head)
        maps = {
            network: dict(zip(MAPS, np.asarray(self._maps(*state[1:3], image, k, cover)), strict=True))
            for network, state in self.states.items()
        }
        values = {(name, network): maps[network][name] for name in MAPS for network in maps}
        values[BRIGHTEST, ""] = map_checks.brighter(image, head)
        parts = {key: map_checks.marked(one, head, self.percent, rng) for key, one in values.items() if one[head].any()}
        covered = {key: part for key, part in parts.items() if key[1] in (TRAINED, "")}
        if blood is not None and (blood & head).any():
            covered[BLOOD, ""], values[BLOOD, ""] = blood & head, blood.astype(np.float32)
        boxes = map_checks.boxes(head, self.percent, BOXES, rng)
        questions = boxes[:PLACES]
        for key, part in covered.items():
            questions += [part, *(map_checks.elsewhere(values[key], part, head, rng) for _ in range(PLACES))]
        room = PLACES + (len(MAPS) + 2) * (1 + PLACES)  # as much for each slice, so that it is compiled once
        pictures = [np.where(part[..., None], cover, image) for part in questions]
        answers = self._probabilities(pictures + [image] * (room - len(pictures)))[:, k].tolist()

        rows = []
        for name, network in values:
            row = _row(name, network, empty=(name, network) not in parts and name != BLOOD)
            if (name, network) in parts:
                one, part = values[name, network], parts[name, network]
                row["mass_outside_head"] = map_checks.share(one, ~head)
                if blood is not None:
                    row["mass_on_blood"], row["marked_on_blood"] = (
                        map_checks.share(one, blood),
                        float(blood[part].mean()),
                    )
            if network not in (TRAINED, ""):
                row["rank_correlation"] = map_checks.rank_correlation(maps[TRAINED][name], maps[network][name], head)
            if (name, network) in covered:
                place = PLACES + list(covered).index((name, network)) * (1 + PLACES)
                row["marked_covered"], *others = answers[place : place + 1 + PLACES]
                row["elsewhere_covered"] = float(np.mean(others))
            rows.append(row)
        row = _row(BOX, "", empty=False) | {"elsewhere_covered": float(np.mean(answers[:PLACES]))}
        if blood is not None:
            row |= dict.fromkeys(ON_BLOOD, float(np.mean([blood[box].mean() for box in boxes])))
        return Answer(CLASSES[k], float(probabilities[k]), maps, [*rows, row])

    def _probabilities(self, images: list[np.ndarray]) -> np.ndarray:
        state, images = self.states[TRAINED], self.network.devices.put(np.stack(images))
        return np.exp(log_softmax(np.asarray(self.network.steps.evaluate(state.params, state.batch_stats, images))))


def _row(name: str, network: str, empty: bool) -> dict:
    return {"map": name, "network": network, "empty": empty} | dict.fromkeys((*ON_BLOOD, *CHECKS), float("nan"))


@lru_cache(maxsize=4)
def _compiled(structure: nnx.GraphDef) -> Callable[..., jax.Array]:
    """`_three_maps` of one structure, for a process that asks again."""
    return jax.jit(partial(_three_maps, structure))


def _three_maps(
    structure: nnx.GraphDef, params: Tree, batch_stats: Tree, image: jax.Array, k: jax.Array, cover: jax.Array
) -> jax.Array:
    asked = structure, params, batch_stats, image, k
    return jnp.stack([gradient_saliency(*asked), grad_cam(*asked), occlusion(*asked, cover)])
