"""What neural recommenders share: a trainer, ragged batches, losses, item tables that grow, files without pickle.

Importing this package, `reasonrec_torch.config` or `reasonrec_torch.curriculum` imports no torch.
"""
