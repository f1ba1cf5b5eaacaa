"""Policy `profile`: explicit steps over co-occurrence, text and images; nothing is trained but the mixture.

The steps are pure functions on arrays, each computed from the ones before, so an edited step changes the answer:

- ``evidence``: which history items count, and how much;
- ``infer``: a distribution over the labels of each item field: category, brand, colour, and clusters of items whose
  pictures or texts mean the same to users;
- ``propose``: scores by each expert from the evidence (transitions, text, image, field affinity, popularity);
- ``weigh``: mixture weights of the experts, fitted on validation, per evidence-horizon bucket where that helps;
- ``decide``: ``P(i) ~ prod_f R_f(i)^b_f * sum_e w_e p_e(i)``, where ``R_f(i)`` is how much likelier the item's labels
  are for this user than for anybody.

Other packages build on `reasonrec_profile.api`; this module imports nothing, so that a plugin is listed at once.
"""
