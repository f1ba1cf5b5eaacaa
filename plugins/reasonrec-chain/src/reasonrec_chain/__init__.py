"""A trained reasoning policy: explicit, supervised, editable steps that cause the ranking.

observe (`items`, `history`) -> infer (`infer`) -> propose (`propose`) -> weigh and decide (`gates`); `think` takes the
steps for one chunk of queries, `policy` is the component, `fitting` learns everything, `training` trains a network.
"""
