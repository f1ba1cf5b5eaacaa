"""A trained reasoning policy: explicit, supervised, editable steps that cause the ranking.

observe (`item_encoder`, `history_encoder` of reasonrec-torch) -> infer (`infer`) -> propose (`propose`) -> weigh and
decide (`gating`); `deliberate` takes the steps for one chunk of queries, `policy` is the component, `fitting` learns
everything. Networks are trained by `reasonrec_torch.trainer`.
"""
