"""`python -m benchmarks.gpu_memory`: the memory that XLA plans for one training step on a GPU that need not be there.

JAX's CUDA build (requirements-cuda.txt) brings the compiler; a GPU is only described to it. The plan has the arguments
(parameters, Adam's two moments, the batch) and the temporary memory of the step. It leaves out what cuDNN takes for its
convolutions: which of its algorithms a GPU uses, and how much memory that one wants, is tried out on the GPU itself.
"""

import argparse
from pathlib import Path

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh
from tqdm import tqdm

from benchmarks.described_gpus import GPUS
from benchmarks.kept_for_backward import BATCH_SIZES, MIB, batch_of
from benchmarks.machine import describe_machine, print_table, save
from ich_jax.paper.printed import IMAGE_SIZE, NETWORK_NAMES, NETWORKS
from ich_jax.paper.steps import no_sums
from ich_jax.plumbing.command import InputError, run_command
from ich_jax.training.config import PRECISIONS, Found, Settings
from ich_jax.training.devices import Devices
from ich_jax.training.network import Network, build

# No data: only the image size shapes the program.
FOUND = Found("", "", False, "", IMAGE_SIZE, {"train": 1, "validation": 1, "test": 1}, "")
# The first two keep XLA from timing programs on the GPU; the others from polishing what will never run.
WITHOUT_A_GPU = {
    "xla_gpu_autotune_level": "0",
    "xla_gpu_enable_triton_gemm": "False",
    "xla_backend_optimization_level": "0",
    "xla_gpu_disable_gpuasm_optimizations": "True",
}


def described(gpu: str) -> Devices:
    """A device to compile for, nothing more. Raises InputError without JAX's CUDA build."""
    shape = {"topology_name": "1x1x1", "topology": "1x1x1"}
    try:
        topology = topologies.get_topology_desc(platform="cuda", target_config=GPUS[gpu].target_config, **shape)
    except Exception as error:
        raise InputError(f"no compiler for CUDA: pip install -r requirements-cuda.txt ({error})") from None
    return Devices(Mesh(np.array(topology.devices), ("data",), axis_types=(AxisType.Auto,)))


def planned_bytes(network: Network, batch_size: int) -> dict[str, int]:
    """{"arguments", "temporary"} of the training step on the network's device."""
    others = jax.eval_shape(lambda: (no_sums(), jax.random.key(0)))
    sums, batch, key = jax.tree.map(
        lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=network.devices.whole),
        (others[0], batch_of(batch_size), others[1]),
    )
    step = network.steps.train.lower(network.like, sums, batch, key)
    plan = step.compile(compiler_options=WITHOUT_A_GPU).memory_analysis()
    return {"arguments": plan.argument_size_in_bytes, "temporary": plan.temp_size_in_bytes}


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=[*NETWORKS, "all"], default="all", help="(default: all)")
    parser.add_argument("--json", type=Path, help="folder to write <device>.json into, network by network")
    args = parser.parse_args(argv)
    jax.config.update("jax_platforms", "cpu")
    devices = {gpu: described(gpu) for gpu in GPUS}
    names = NETWORKS if args.model == "all" else (args.model,)
    result, rows = {}, []
    programs = [(precision, gpu, size) for precision in PRECISIONS for gpu in GPUS for size in BATCH_SIZES]
    with tqdm(total=len(names) * len(programs), unit="program", leave=False, disable=None) as bar:
        for name in names:
            plans = {}
            for precision, gpu, size in programs:
                program = f"{precision}, {gpu}, batch {size}"
                bar.set_description(f"{name}, {program}")
                network = build(Settings(model=name, precision=precision), FOUND, devices[gpu])
                plans[program] = planned_bytes(network, size)
                bar.update()
            result[name] = plans
            rows += [_row(f"{NETWORK_NAMES[name]}, {program}", plan) for program, plan in plans.items()]
            if args.json:
                save(args.json, f"gpu_memory, {name}", plans)
    print(f"MiB planned for one training step, {IMAGE_SIZE}×{IMAGE_SIZE}; compiled on {describe_machine()}; no GPU ran")
    print_table(("program", "arguments", "temporary", "sum"), rows)
    return result


def _row(program: str, plan: dict[str, int]) -> tuple[str, ...]:
    return program, *(f"{count / MIB:,.0f}" for count in (plan["arguments"], plan["temporary"], sum(plan.values())))


if __name__ == "__main__":
    run_command(main)
