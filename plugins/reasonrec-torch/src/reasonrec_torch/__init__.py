"""What neural recommenders share: a trainer, ragged batches, losses, item tables that grow, files without pickle.

Importing this package, its `config`, `curriculum`, `encoder_arrays`, `item_features`, `pretrained`, `ragged` or
`weights` imports no torch.
"""
