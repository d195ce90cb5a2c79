"""A network as training and inference use it: its structure, and its two steps, compiled once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import jax
import optax
from flax import nnx

from ich_jax.models import MODELS
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.steps import CompiledSteps, TrainState, adam, compile_steps, first_state
from ich_jax.training.augment import augment
from ich_jax.training.config import Found, Settings
from ich_jax.training.devices import Devices, choose_devices


@dataclass(frozen=True)
class Network:
    """`steps` are compiled at their first call, so whoever asks the same network again does not compile again."""

    structure: nnx.GraphDef
    devices: Devices
    steps: CompiledSteps
    like: TrainState  # shapes, dtypes and devices of its state, without values
    draw: Callable[[jax.Array], TrainState]  # key → a state with fresh weights, on the devices on which it stays


def build(settings: Settings, found: Found, devices: Devices | None = None) -> Network:
    """The network and optimizer of a training, for `devices` (default: JAX's default device). No weight is drawn yet.

    Seed, split and the like are not in them: a process that asks again gets the same object, with its compiled steps.
    """
    steps = settings.epochs * -(-found.slices["train"] // settings.batch_size) if settings.decay == "cosine" else None
    rate = settings.learning_rate, steps
    adams = rate, settings.beta1, settings.epsilon
    network = MODELS[settings.model], found.image_size, settings.norm_momentum, settings.precision
    return _build(*network, *adams, settings.augment, devices or choose_devices(1))


@lru_cache(maxsize=4)
def _build(
    model: Callable[..., nnx.Module],
    image_size: int,
    norm_momentum: float,
    precision: str,
    rate: tuple[float, int | None],
    beta1: float,
    epsilon: str,
    augmented: bool,
    devices: Devices,
) -> Network:
    optimizer = adam(learning_rate(*rate), beta1, epsilon == "keras")
    structures = []

    def draw_weights(key: jax.Array) -> tuple[nnx.State, nnx.State]:
        network = model(image_size, len(CLASSES), norm_momentum, rngs=nnx.Rngs(params=key))
        structure, params, batch_stats = nnx.split(network, nnx.Param, nnx.BatchStat)
        structures.append(structure)
        return params, batch_stats

    # Arrays that are not bound to a device, as fresh ones are not, would make JAX compile every step twice.
    start = partial(first_state, optimizer=optimizer)
    shapes = jax.eval_shape(lambda key: start(*draw_weights(key)), jax.random.key(0))
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=devices.whole), shapes)
    # Two programs, so that the larger one, the weights', does not hang on the optimizer's settings.
    draw, start = (jax.jit(function, out_shardings=devices.whole) for function in (draw_weights, start))
    steps = compile_steps(structures[0], optimizer, precision, devices.whole, augment if augmented else None)
    return Network(structures[0], devices, steps, like, lambda key: start(*draw(devices.put(key))))


def learning_rate(start: float, steps: int | None) -> float | optax.Schedule:
    """Constant, or half a cosine from the first step to 0 after the last (SGDR, Loshchilov and Hutter 2017)."""
    return start if steps is None else optax.cosine_decay_schedule(start, steps)


def weights_key(settings: Settings) -> jax.Array:
    return _keys(settings)[0]


def dropout_key(settings: Settings) -> jax.Array:
    return _keys(settings)[1]


def _keys(settings: Settings) -> jax.Array:
    """The root key, split by purpose."""
    return jax.random.split(jax.random.key(settings.seed))
