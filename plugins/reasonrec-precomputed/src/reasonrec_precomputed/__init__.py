"""Item vectors that were made elsewhere, as features of any modality."""
