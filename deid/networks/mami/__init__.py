"""MaMI, the modality-adaptive re-identification network (arXiv 2503.08173).

Read in this order: `config` (shape), `model` (the way of a batch), `context` (what modality is this?),
`lowrank` (how the answer changes the weights), `adapter` (neighbouring frames), `vit` (attention, MLP, stem),
`start` (fresh weights).
"""

from deid.networks.mami.config import MaMIConfig
from deid.networks.mami.lowrank import dead_low_rank
from deid.networks.mami.model import MaMI, View

__all__ = ["MaMI", "MaMIConfig", "View", "dead_low_rank"]
