"""Times exact search without an N x N matrix beside the bare matrix products and beside scikit-learn.

    python tests/benchmarks/gallery.py [--images 10000] [--dimension 128] [--sklearn]

Prints seconds of the processor, which other processes disturb less than those of the clock, and ratios; run
with OMP_NUM_THREADS=1.
"""

import argparse
import time

import numpy as np

from deid.audit.search import OwnImages, search, shares_below


def embeddings(patients, dimension, seed):
    """Two noisy unit vectors a patient: queries and gallery."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(patients, dimension))
    sides = [own + random.normal(size=own.shape) * 1.5 for _ in range(2)]
    return [(side / np.linalg.norm(side, axis=1, keepdims=True)).astype(np.float32) for side in sides]


def products(queries, gallery, rows=256, columns=4096):
    """The same blocks of products, and nothing else."""
    buffer = np.empty((rows, columns), np.float32)
    for at in range(0, len(queries), rows):
        some = queries[at : at + rows]
        for begin in range(0, len(gallery), columns):
            part = gallery[begin : begin + columns]
            np.matmul(some, part.T, out=buffer[: len(some), : len(part)])


def timed(action, repeat):
    """The fastest of some runs, in seconds of the processor."""
    seconds = []
    for _ in range(repeat):
        begin = time.process_time()
        action()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def sklearn_auc(queries, gallery):
    """Area under the curve of all pairs by scikit-learn, from the full matrix."""
    from sklearn.metrics import roc_auc_score

    return roc_auc_score(np.eye(len(queries), dtype=bool).ravel(), (queries @ gallery.T).ravel())


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sklearn", action="store_true")
    options = parser.parse_args()
    queries, gallery = embeddings(options.images, options.dimension, 0)
    labels = np.arange(options.images)
    own = OwnImages.of(labels, labels)
    bare = timed(lambda: products(queries, gallery), options.repeat)
    ranked = timed(lambda: search(queries, gallery[None], own), options.repeat)
    pooled = timed(lambda: shares_below(queries, gallery[None], own), options.repeat)
    print(f"{options.images} x {options.images}, dimension {options.dimension}")
    print(f"bare products            {bare:8.2f} s")
    print(f"ranks and precision      {ranked:8.2f} s, {ranked / bare:.2f} x the products")
    print(f"AUC over all pairs       {pooled:8.2f} s, {pooled / bare:.2f} x the products")
    if options.sklearn:
        found = {}
        slow = timed(lambda: found.update(auc=sklearn_auc(queries, gallery)), 1)
        gap = abs(found["auc"] - shares_below(queries, gallery[None], own).mean())
        print(f"scikit-learn, AUC        {slow:8.2f} s, {slow / pooled:.1f} x ours; they differ by {gap:.1e}")


if __name__ == "__main__":
    main()
