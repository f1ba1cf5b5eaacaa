"""What other packages may build on: the parts of `profile`, from the weights of a history to a model that grows.

`chain` fits the same item-to-item experts and item fields, and mixes them with networks of its own.
"""

from reasonrec_profile.candidate_pool import TargetPairs, sample_target_pairs
from reasonrec_profile.config import ProfileConfig
from reasonrec_profile.decide import MixtureWeights, compute_entry_votes
from reasonrec_profile.fit_parts import choose_modalities
from reasonrec_profile.fitting import FittedParts, ProfileModel, fit_parts, make_default_weights, recount
from reasonrec_profile.history_weights import AgeDecay, HistoryWeights
from reasonrec_profile.infer import Inference, compute_likelihood_ratio, list_history_pairs
from reasonrec_profile.item_fields import ItemField
from reasonrec_profile.mixture import cut_gains
from reasonrec_profile.new_items import GrowingModel
from reasonrec_profile.policy import Profile
from reasonrec_profile.propose import AFFINITY, POPULARITY, Expert
from reasonrec_profile.storage import read_model, write_model
from reasonrec_profile.verbalise import (
    CITED,
    LISTED,
    describe_evidence,
    describe_inference,
    describe_weights,
    list_shares,
    name_expert,
)

__all__ = [
    "AFFINITY",
    "CITED",
    "LISTED",
    "POPULARITY",
    "AgeDecay",
    "Expert",
    "FittedParts",
    "GrowingModel",
    "HistoryWeights",
    "Inference",
    "ItemField",
    "MixtureWeights",
    "Profile",
    "ProfileConfig",
    "ProfileModel",
    "TargetPairs",
    "choose_modalities",
    "compute_entry_votes",
    "compute_likelihood_ratio",
    "cut_gains",
    "describe_evidence",
    "describe_inference",
    "describe_weights",
    "fit_parts",
    "list_history_pairs",
    "list_shares",
    "make_default_weights",
    "name_expert",
    "read_model",
    "recount",
    "sample_target_pairs",
    "write_model",
]
