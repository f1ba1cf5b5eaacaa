from reasonrec_core.testing import MetricConformance


class TestTemplate(MetricConformance):
    component = "template"

    def by_hand(self, ranked, relevant, k):
        return 0.2 * sum(0.8**place for place, item in enumerate(ranked[:k]) if item in relevant)
