"""Layouts of published data sets, from small files in exactly their form."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layout_files import fields_of, load, log_of, write

from reasonrec_core.data import Dataset, SplitConfig, find_source, make_split
from reasonrec_core.errors import DataError

GOWALLA = (
    "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n"
    "0\t2010-10-18T22:17:43Z\t30.2691029532\t-97.7493953705\t420315\n"
    "1\t2010-10-17T23:42:03Z\t30.2557309927\t-97.7633857727\t22847\n"
)
FOURSQUARE = (
    b"470\t49bbd6c0\t4bf58dd8\tArts & Crafts Store\t40.719810375\t-74.002581032\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
    b"470\t4a43c0ae\t4bf58dd9\tCaf\xe9\t40.60679958\t-74.04416981\t-240\tMon Apr 02 18:00:25 +0000 2012\n"
)
REES46 = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
ROCKET = "timestamp,visitorid,event,itemid,transactionid\n"
BOOKS = (
    "book_id,goodreads_book_id,best_book_id,authors,original_publication_year,title,average_rating,ratings_1,image_url"
)
BEHAVIORS = "1\tU1\t11/11/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0\n2\tU2\t11/12/2019 6:11:30 PM\t\tN4-1 N5-0\n"
NEWS = (
    'N1\tsports\tgolf\tThe "best\tOne\thttps://a\t[]\t[]\nN3\tnews\tworld\tThree\t\thttps://b\t[]\t[]\n'
    "N4\tnews\tus\tFour\tFour.\thttps://c\t[]\t[]\nN5\tnews\tus\tFive\t\thttps://c\t[]\t[]\n"
)
MATRIX = "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"


def imported(folder: Path, tmp_path: Path, layout: str, **options: object) -> Dataset:
    """The folder, read by the source that recognises it."""
    assert find_source(folder) == layout
    return load(folder, tmp_path, options=options)


def values_of(dataset: Dataset) -> list[float]:
    assert dataset.interactions.values is not None
    return sorted(round(float(value), 3) for value in dataset.interactions.values)


def test_lightgcn_keeps_its_split_and_takes_validation_by_option(tmp_path: Path) -> None:
    rows = "".join(f"{user} {' '.join(str((user + n) % 9) for n in range(6))}\n" for user in range(9))
    folder = write(
        tmp_path / "in",
        train__txt=rows,
        test__txt="".join(f"{user} {(user + 7) % 9}\n" for user in range(8)) + "8 \n",
        item_list__txt="org_id remap_id\n" + "".join(f"{n}a {n}\n" for n in range(9)),
        s_pre_adj_mat__npz=b"x",
    )
    dataset = imported(folder, tmp_path, "lightgcn")
    assert dataset.parts is not None
    assert (dataset.n_users, dataset.n_items, len(dataset)) == (9, 9, 62)
    assert not dataset.has_clock
    assert fields_of(dataset, "3") == {"org_id": "3a"}
    assert "test.txt: 1 users have no items in this part" in dataset.notes
    with pytest.raises(DataError, match="valid") as caught:
        make_split(dataset, SplitConfig(kind="predefined"))
    assert "split.valid_share" in str(caught.value.fix)
    split = make_split(dataset, SplitConfig(kind="predefined", valid_share=0.34))
    assert len(split.train) == 9 * 4
    assert (len(split.valid.queries), len(split.test.queries)) == (9, 8)
    again = make_split(dataset, SplitConfig(kind="predefined", valid_share=0.34, seed=1))
    assert again.hash != split.hash, "without times the share is drawn with the seed"


def test_numbers_that_are_ratings_are_no_lightgcn(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", train__txt="1 20 5\n2 30 4\n", test__txt="1 30 3\n2 20 5\n")
    assert find_source(folder) == "predefined"
    dataset = load(folder, tmp_path, columns={"user_id": "1", "item_id": "2", "value": "3"})
    assert values_of(dataset) == [3, 4, 5, 5]
    text = write(tmp_path / "text", train__txt="A film of love.\nNot good.\n", test__txt="So, so.\nNice.\n")
    with pytest.raises(DataError, match="layout of this data is unknown"):
        find_source(text)


def test_gowalla_and_its_places(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in", **{"loc-gowalla_totalCheckins__txt": GOWALLA, "loc-gowalla_edges__txt": "0\t1\n1\t0\n"}
    )
    dataset = imported(folder, tmp_path, "check-ins")
    assert log_of(dataset) == {"0": ["420315", "22847"], "1": ["22847"]}
    assert fields_of(dataset, "22847") == {"latitude": "30.2359091167", "longitude": "-97.7951395833"}
    numbered = {"user_id": "1", "timestamp": "2", "item_id": "5"}
    assert log_of(load(folder / "loc-gowalla_totalCheckins.txt", tmp_path / "n", columns=numbered)) == log_of(dataset)


def test_brightkite_has_rows_without_a_place(tmp_path: Path) -> None:
    rows = "".join(f"{user}\t2010-10-17T01:48:53Z\t39.747652\t-104.99251\t88c46bf20db295\n" for user in range(20))
    folder = write(tmp_path / "in", b__txt=rows + "58186\t\t0.0\t0.0\t00000000000000000000000000000000\n")
    dataset = imported(folder, tmp_path, "check-ins")
    assert len(dataset) == 20
    assert "b.txt: 1 check-ins without a place are left out" in dataset.notes


def test_foursquare_is_latin_1_with_twitters_times(tmp_path: Path) -> None:
    dataset = imported(write(tmp_path / "in", dataset_TSMC2014_NYC__txt=FOURSQUARE), tmp_path, "check-ins")
    assert log_of(dataset) == {"470": ["4a43c0ae", "49bbd6c0"]}
    assert dataset.interactions.times.tolist() == [1333389625, 1333476009]
    assert fields_of(dataset, "4a43c0ae")["categories"] == "Café"


def test_rees46_has_months_and_its_items_in_the_events(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        **{
            "2019-Oct__csv": REES46 + "2019-10-01 00:00:00 UTC,view,1,20,electronics.smartphone,acme,35.79,u1,s\n",
            "2019-Nov__csv__gz": REES46
            + "2019-11-01 00:00:01 UTC,purchase,1,20,electronics.smartphone,acme,33.20,u1,s\n"
            "2019-11-01 00:00:02 UTC,cart,2,21,,,5.00,u1,s\n",
        },
    )
    dataset = imported(folder, tmp_path, "rees46", event_weights="view=1,cart=3,purchase=5")
    assert log_of(dataset) == {"u1": ["1", "1", "2"]}
    assert values_of(dataset) == [1, 3, 5]
    assert fields_of(dataset, "1") == {"brand": "acme", "categories": "electronics|smartphone", "price": "33.2"}


def test_retailrocket_and_its_properties(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        events__csv=ROCKET + "1433221332117,257597,view,355908,\n1433224214164,257597,addtocart,9,\n",
        item_properties_part1__csv="timestamp,itemid,property,value\n1435460400000,355908,categoryid,1338\n"
        "1441508400000,355908,888,1116713 960601 n277.200\n1435460400000,9,categoryid,5\n",
        item_properties_part2__csv="timestamp,itemid,property,value\n1436065200000,9,categoryid,1338\n"
        "1436065200000,9,available,1\n",
        category_tree__csv="categoryid,parentid\n1338,20\n20,\n5,20\n",
    )
    dataset = imported(folder, tmp_path, "retailrocket", event_weights={"view": 1, "addtocart": 2})
    assert log_of(dataset) == {"257597": ["355908", "9"]}
    assert fields_of(dataset, "9") == {"categories": "20|1338", "available": "1"}
    assert fields_of(dataset, "355908") == {"categories": "20|1338", "available": None}
    assert not any("were not read" in note for note in dataset.notes)


def test_mind_has_labels_and_histories(tmp_path: Path) -> None:
    dataset = imported(write(tmp_path / "in", behaviors__tsv=BEHAVIORS, news__tsv=NEWS), tmp_path, "mind")
    assert log_of(dataset) == {"U1": ["N3", "N4"], "U2": ["N4", "N5"]}
    assert dataset.interactions.times.tolist()[:2] in ([1573463158] * 2, [1573582290] * 2)
    assert values_of(dataset) == [0, 0, 1, 1]
    assert dataset.given_history is not None
    assert sorted(dataset.given_history.lengths.tolist()) == [0, 0, 2, 2]
    assert fields_of(dataset, "N1") == {"title": 'The "best', "categories": "sports|golf", "description": "One"}
    assert fields_of(dataset, "N2")["title"] is None, "known from a history alone"


def test_mind_without_news_keeps_the_ids_of_histories(tmp_path: Path) -> None:
    dataset = imported(write(tmp_path / "in", behaviors__tsv=BEHAVIORS), tmp_path, "mind")
    assert sorted(dataset.catalog.ids) == ["N1", "N2", "N3", "N4", "N5"]


def test_mind_in_parts(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        write(tmp_path / "in" / f"MINDsmall_{part}", behaviors__tsv=BEHAVIORS, news__tsv=NEWS)
    unlabelled = BEHAVIORS.replace("-1", "").replace("-0", "")
    write(tmp_path / "in" / "MINDlarge_test", behaviors__tsv=unlabelled, news__tsv=NEWS)
    dataset = imported(tmp_path / "in", tmp_path, "mind", impressions="clicked")
    assert dataset.parts is not None
    assert sorted(dataset.parts.tolist()) == [0, 0, 2, 2]
    assert dataset.interactions.values is None
    assert "dev is used as the test part, because there is no labelled test" in dataset.notes
    assert any("no labels, so they are not read" in note for note in dataset.notes)


@pytest.mark.parametrize("edition", ["combined", "mv"])
def test_netflix(edition: str, tmp_path: Path) -> None:
    films = ["1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n", "2:\n1488844,4,2005-09-05\n"]
    if edition == "combined":
        folder = write(tmp_path / "in", combined_data_1__txt="".join(films))
    else:
        folder = tmp_path / "in"
        write(folder / "training_set", mv_0000001__txt=films[0], mv_0000002__txt=films[1])
    write(folder, movie_titles__csv=b"1,2003,Dinosaur Planet\n2,NULL,Caf\xe9, Again\n", probe__txt="1:\n1488844\n")
    dataset = imported(folder, tmp_path, "netflix")
    assert log_of(dataset) == {"1488844": ["2", "1"], "822109": ["1"]}
    assert values_of(dataset) == [3, 4, 5]
    assert fields_of(dataset, "2") == {"title": "Café, Again", "year": None}
    assert fields_of(dataset, "1")["year"] == "2003"


def test_netflix_with_a_bad_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", combined_data_1__txt="1:\n1,3,2005-09-06\noops\n2,5,2005-05-13\n")
    with pytest.raises(DataError, match=r"combined_data_1\.txt:3: 'oops' is neither"):
        load(folder, tmp_path)
    write(folder, combined_data_1__txt="1:\n1,3,2005-09-06\n2:\n2,x,2005-05-13\n")
    with pytest.raises(DataError, match=r"combined_data_1\.txt"):
        load(folder, tmp_path)


def test_goodbooks_keeps_the_order_and_takes_the_commonest_tags(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        ratings__csv="user_id,book_id,rating\n1,258,5\n1,40,4\n2,258,3\n",
        books__csv=f"{BOOKS}\n40,2767052,1,S. C.,2008.0,Games,4.3,66715,https://x\n258,77,1,J.,1937.0,Hobbit,4.2,1,https://y\n",
        book_tags__csv="goodreads_book_id,tag_id,count\n2767052,1,10\n2767052,2,99\n2767052,3,50\n999,1,1\n",
        tags__csv="tag_id,tag_name\n1,to-read\n2,fantasy\n3,young\n",
        to_read__csv="user_id,book_id\n1,40\n",
    )
    dataset = imported(folder, tmp_path, "goodbooks", tags=2)
    assert log_of(dataset) == {"1": ["258", "40"], "2": ["258"]}
    item = fields_of(dataset, "40")
    assert (item["title"], item["categories"], item["authors"]) == ("Games", "fantasy|young", "S. C.")
    assert "average_rating" not in item
    assert fields_of(dataset, "258")["categories"] is None
    assert "other files that were not read: to_read.csv" in dataset.notes


def test_kuairec_and_its_matrices(tmp_path: Path) -> None:
    data = write(
        tmp_path / "in" / "data",
        big_matrix__csv=MATRIX + "0,3649,13838,10867,2020-07-05 00:08:23.438,20200705,1593878903.438,1.27\n"
        "0,9598,13665,10984,2020-07-05 00:13:41.297,20200705,1593879221.297,1.24\n",
        small_matrix__csv=MATRIX
        + "0,9598,1,2,2020-07-06 00:13:41.297,20200706,1593979221.297,0.5\n0,3649,1,2,,,,0.25\n",
        item_categories__csv='video_id,feat\n3649,"[27, 9]"\n9598,[8]\n',
        user_features__csv="user_id,user_active_degree\n0,high_active\n",
    )
    dataset = imported(tmp_path / "in", tmp_path, "kuairec")
    assert log_of(dataset) == {"0": ["3649", "9598"]}
    assert values_of(dataset) == [1.24, 1.27]
    assert dataset.catalog.labels("categories")[dataset.catalog.index["3649"]] == ("27", "9")
    both = load(data, tmp_path / "both", options={"matrix": "both"})
    assert both.parts is not None
    assert sorted(both.parts.tolist()) == [0, 0, 2]
    assert any("1 rows without a time are left out" in note for note in both.notes)


def save_to_disk(folder: Path, table: pa.Table) -> None:
    """What `datasets.Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as out,
    ):
        out.write_table(table)
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_format_type": None, "_split": None}
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    (folder / "dataset_info.json").write_text(json.dumps({"features": {}, "citation": ""}))


def test_hugging_face_saved_to_disk(tmp_path: Path) -> None:
    table = pa.table({"user_id": [1, 1], "item_id": ["a", "b"], "rating": [5.0, 3.0], "timestamp": [20, 10]})
    save_to_disk(tmp_path / "one", table)
    assert log_of(imported(tmp_path / "one", tmp_path, "huggingface")) == {"1": ["b", "a"]}
    for split in ("train", "test"):
        save_to_disk(tmp_path / "dict" / split, table)
    (tmp_path / "dict" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    write(tmp_path / "dict", items__csv="item_id,title\na,A\n")
    dataset = imported(tmp_path / "dict", tmp_path / "d", "huggingface")
    assert dataset.parts is not None
    assert sorted(dataset.parts.tolist()) == [0, 0, 2, 2]
    assert fields_of(dataset, "a") == {"title": "A"}


def test_hugging_face_shards(tmp_path: Path) -> None:
    data = tmp_path / "in" / "data"
    data.mkdir(parents=True)
    for number, (split, item) in enumerate([("train", "a"), ("train", "b"), ("validation", "c"), ("test", "d")]):
        name = f"{split}-0000{number % 2}-of-00002-0123abcd.parquet"
        pq.write_table(pa.table({"user_id": ["u"], "item_id": [item]}), data / name)
    write(tmp_path / "in", README__md="---\nlicense: mit\n---\n")
    dataset = imported(tmp_path / "in", tmp_path, "huggingface")
    assert dataset.parts is not None
    assert sorted(dataset.parts.tolist()) == [0, 0, 1, 2]


def test_amazon_2018(tmp_path: Path) -> None:
    review = {
        "overall": 5.0, "vote": "2", "verified": True, "reviewTime": "01 1, 2018", "reviewerID": "A", "asin": "p1",
        "style": {"Size:": " Large"}, "reviewerName": "N", "reviewText": "ab", "summary": "s",
        "unixReviewTime": 1514764800, "image": ["https://x"],
    }  # fmt: skip
    meta = {
        "asin": "p1", "title": "Strap", "feature": ["Strong", "Red"], "description": ["One.", "Two."], "brand": "B",
        "price": ".a-box-inner{background-color:#fff}#alohaBuyBoxWidget .selected{background-color:#fffbf3}",
        "category": ["Music", "Straps"], "main_cat": "Instruments", "rank": [">#3"], "also_buy": ["p2"],
        "imageURL": [], "imageURLHighRes": [],
    }  # fmt: skip
    rows = [review, {**review, "asin": "p2", "unixReviewTime": 1514678400}]
    metas = [meta, {**meta, "asin": "p2", "price": "$1,012.99"}]
    folder = write(
        tmp_path / "in",
        Instruments_5__json__gz="".join(json.dumps(row) + "\n" for row in rows),
        meta_Instruments__json__gz="".join(json.dumps(row) + "\n" for row in metas),
    )
    dataset = imported(folder, tmp_path, "amazon")
    assert log_of(dataset) == {"A": ["p2", "p1"]}
    item = fields_of(dataset, "p1")
    assert (item["categories"], item["features"], item["price"]) == ("Music|Straps", "Strong Red", None)
    assert fields_of(dataset, "p2")["price"] == "1012.99"
    assert dataset.has_reviews


def test_python_literals_as_in_steams_dumps(tmp_path: Path) -> None:
    reviews = "{u'username': u'Ann', u'product_id': u'725280', u'date': u'2017-12-17', u'text': u\"It's\", 'n': True}\n"
    folder = write(tmp_path / "in", steam_reviews__json__gz=reviews + reviews.replace("725280", "7"))
    assert log_of(imported(folder, tmp_path, "amazon")) == {"Ann": ["725280", "7"]}
    items = (
        "{'user_id': '76561', 'items_count': 2, 'items': [{'item_id': '10', 'item_name': 'CS', 'playtime_forever': 6}, "
    )
    write(tmp_path / "nested", australian_users_items__json=items + "{'item_id': '20', 'item_name': 'T'}]}\n")
    dataset = load(tmp_path / "nested", tmp_path / "n")
    assert log_of(dataset) == {"76561": ["10", "20"]}
    assert any("each object in 'items' is a row" in note for note in dataset.notes)


def test_sessions_of_otto(tmp_path: Path) -> None:
    row = {
        "session": 0,
        "events": [
            {"aid": 15, "ts": 1659304800025, "type": "clicks"},
            {"aid": 16, "ts": 1659304904511, "type": "carts"},
        ],
    }
    folder = write(tmp_path / "in", train__jsonl=json.dumps(row))
    dataset = load(folder, tmp_path, columns={"event": "type"}, options={"event_weights": "clicks=1,carts=6"})
    assert log_of(dataset) == {"0": ["15", "16"]}
    assert values_of(dataset) == [1, 6]


def test_an_array_of_objects(tmp_path: Path) -> None:
    rows = [{"user_id": 1, "item_id": "a", "rating": 4}, {"user_id": 1, "item_id": "b", "rating": 2.5}]
    folder = write(
        tmp_path / "in", log__json=json.dumps(rows, indent=2), items__json='[{"item_id": "a", "tags": ["x", "y"]}]'
    )
    dataset = load(folder / "log.json", tmp_path)
    assert log_of(dataset) == {"1": ["a", "b"]}
    assert dataset.catalog.labels("tags")[dataset.catalog.index["a"]] == ("x", "y")


def test_an_archive_is_read_as_its_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml-1m", ratings__dat="1::1193::5::978300760\n", movies__dat="1193::Les (1995)::Drama\n")
    with tarfile.open(tmp_path / "ml-1m.tar.gz", "w:gz") as archive:
        archive.add(folder, "ml-1m")
    dataset = imported(tmp_path / "ml-1m.tar.gz", tmp_path, "archive")
    assert fields_of(dataset, "1193")["title"] == "Les (1995)"
    assert "ml-1m.tar.gz: its files are read as 'movielens'" in dataset.notes
    write(folder, ratings__dat="1::1193::5::soon\n")
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        archive.add(folder, "ml-1m")
    with pytest.raises(DataError, match=r"/bad\.tar/ml-1m/ratings\.dat:1:13: timestamp 'soon'"):
        load(tmp_path / "bad.tar", tmp_path)
