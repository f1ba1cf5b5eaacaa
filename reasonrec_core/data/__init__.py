"""The way of the data: what a `DataSource` stores -> `Dataset` -> `Split`. What plugins may use is named here."""

from reasonrec_core.components import Splitter as Splitter
from reasonrec_core.components import SplitterSettings as SplitterSettings
from reasonrec_core.data.cases import LEFT_OUT as LEFT_OUT
from reasonrec_core.data.cases import TEST as TEST
from reasonrec_core.data.cases import TRAIN as TRAIN
from reasonrec_core.data.cases import VALID as VALID
from reasonrec_core.data.cases import Division as Division
from reasonrec_core.data.cases import cut_sequences as cut_sequences
from reasonrec_core.data.cases import make_user_cases as make_user_cases
from reasonrec_core.data.catalog import Catalog as Catalog
from reasonrec_core.data.dataset import Dataset as Dataset
from reasonrec_core.data.negative_sampling import draw_candidates as draw_candidates
from reasonrec_core.data.negative_sampling import draw_click_split as draw_click_split
from reasonrec_core.data.negative_sampling import draw_direct_split as draw_direct_split
from reasonrec_core.data.reviews import find_visible_reviews as find_visible_reviews
from reasonrec_core.data.sources import choose_source as choose_source
from reasonrec_core.data.sources import find_source as find_source
from reasonrec_core.data.sources import list_sources as list_sources
from reasonrec_core.data.sources import open_or_import as open_or_import
from reasonrec_core.data.split import Split as Split
from reasonrec_core.data.split import SplitConfig as SplitConfig
from reasonrec_core.data.split import make_split as make_split
from reasonrec_core.data.split import make_splitter as make_splitter
from reasonrec_core.data.split import open_split as open_split
from reasonrec_core.data.split import save_split as save_split
from reasonrec_core.data.storage import is_dataset as is_dataset
