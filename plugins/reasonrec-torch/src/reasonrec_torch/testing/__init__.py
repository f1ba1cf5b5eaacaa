"""Suites for authors of delegates whose network is trained."""

from reasonrec_torch.testing.learning_delegate import LearningDelegateConformance

__all__ = ["LearningDelegateConformance"]
