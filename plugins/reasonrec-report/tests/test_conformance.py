from reasonrec_core.testing import ReporterConformance


class TestHtml(ReporterConformance):
    component = "html"


class TestCalibration(ReporterConformance):
    component = "calibration"


class TestDelegation(ReporterConformance):
    component = "delegation"


class TestCosts(ReporterConformance):
    component = "costs"
    measures_time = True


class TestCards(ReporterConformance):
    component = "cards"
