"""What neural recommenders share: a trainer, ragged batches, losses, item tables that grow, files without pickle.

Importing this package, its `config`, `curriculum`, `pretrained` or `weights` imports no torch.
"""
