"""Time of a MaMI embedding (published shapes) beside timm's plain ViT-B/16, interleaved, on one thread.

    python tests/benchmarks/embedding.py --images 4 --rounds 15

Prints the median processor time of each and the median ratio to the plain network's run beside it, both of
which a busy machine disturbs little.
"""

import argparse
import statistics
import time

import timm
import torch
from torch import nn

from deid.networks.mami import MaMI


def networks(seed):
    """Plain ViT-B/16, MaMI with live low-rank weights, and MaMI with dead ones."""
    torch.manual_seed(seed)
    vit = timm.create_model("vit_base_patch16_224", pretrained=False, num_classes=0)
    live, dead = MaMI.published(), MaMI.published()
    with torch.no_grad():
        for name, weight in dead.named_parameters():
            if "lora_" in name or "_static" in name:
                weight.zero_()
    return {
        "plain ViT-B/16": (vit, False),
        "MaMI": (live, True),
        "MaMI, dead low rank": (dead, True),
        "MaMI, no low rank": (MaMI.published(rank=-1), True),
    }


def seconds(network: nn.Module, images: torch.Tensor) -> float:
    start = time.process_time()
    network(images)
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=4, help="images of one batch")
    parser.add_argument("--rounds", type=int, default=15, help="times that each network runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = torch.randn(options.images, 3, 224, 224)
    rivals = {
        name: (network.eval(), images.unsqueeze(2) if frames else images)
        for name, (network, frames) in networks(seed=0).items()
    }
    times = {name: [] for name in rivals}
    with torch.inference_mode():
        for _ in range(options.rounds + 1):  # the first warms up
            for name, (network, given) in rivals.items():
                times[name].append(seconds(network, given))
    plain = times["plain ViT-B/16"][1:]
    print(f"{options.images} image(s) a batch, 1 thread, {options.rounds} rounds")
    for name, measured in times.items():
        ratio = statistics.median(one / other for one, other in zip(measured[1:], plain, strict=True))
        print(f"{name:22} {statistics.median(measured[1:]) / options.images:7.3f} s/image {ratio:6.3f} x")


if __name__ == "__main__":
    main()
