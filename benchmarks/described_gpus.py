"""Two GPUs as XLA's compiler wants them described, so that a program can be compiled for a GPU that is not there.

Each text is a `GpuTargetConfigProto` of XLA. What comes from where:

- SMs, memory, bandwidth, clock of the GTX 1650: general knowledge of the card (896 CUDA cores, 64 an SM; 4 GB GDDR5 at
  128 GB/s; 1 MB of L2 cache; 1.56 GHz). The mobile version is also sold with 16 SMs and with faster memory.
- threads, registers and shared memory of compute capability 7.5: NVIDIA's `cuda/devices` header for `sm_75` (CCCL).
- the H100: XLA's own description of the SXM card, `h100_sxm.txtpb`, its fields that matter here.

The plan of memory follows the compute capability far more than the rest.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DescribedGpu:
    name: str
    memory_bytes: int
    target_config: str


def _describe(name: str, memory_bytes: int, compute_capability: str, **numbers: int | float) -> DescribedGpu:
    major, minor = compute_capability.split(".")
    fields = "\n".join(f"  {field}: {value}" for field, value in numbers.items())
    text = f"""
gpu_device_info {{
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  device_memory_size: {memory_bytes}
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
{fields}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 7 }}
runtime_version {{ major: 12 minor: 8 }}
device_description_str: "{name}"
"""
    return DescribedGpu(name, memory_bytes, text)


LAPTOP_4_GB = _describe(
    "GeForce GTX 1650",
    4 * 2**30,
    "7.5",
    core_count=14,
    fpus_per_core=64,
    threads_per_core_limit=1024,
    shared_memory_per_core=65536,
    shared_memory_per_block_optin=65536,
    memory_bandwidth=128_000_000_000,
    l2_cache_size=1_048_576,
    clock_rate_ghz=1.56,
)

H100 = _describe(
    "H100 SXM",
    84_942_979_072,
    "9.0",
    core_count=132,
    fpus_per_core=128,
    threads_per_core_limit=2048,
    shared_memory_per_core=233_472,
    shared_memory_per_block_optin=232_448,
    memory_bandwidth=3_352_320_000_000,
    l2_cache_size=52_428_800,
    clock_rate_ghz=1.98,
)

GPUS = {"GTX 1650": LAPTOP_4_GB, "H100": H100}
