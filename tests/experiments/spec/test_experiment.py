import pytest

from steepest.errors import DataFileError, InvalidArgument
from steepest.experiments.spec.data import DataSet
from steepest.experiments.spec.experiment import load_experiment, parse_overrides, validated
from steepest.experiments.spec.resolved import resolve
from steepest.experiments.spec.schedule import ScheduleChoice

SMALLEST = {"name": "mine", "data": "gaussian", "norm": "max"}


def test_scalars_and_lists_are_grids_in_canonical_form():
    experiment = validated({**SMALLEST, "norm": ["max", "schatten-2", "entrywise-2"], "momentum": 0})
    assert experiment.norm == ("max", "schatten-2", "frobenius")
    assert experiment.momentum == (0.0,)
    assert validated({**SMALLEST, "momentum": [0, 0.0, 0.5]}).momentum == (0.0, 0.5)
    assert experiment.data == (
        DataSet.model_validate({"kind": "gaussian", "classes": 10, "samples_per_class": 10}),
    )


REFUSED = {
    "unknown key": (
        {"momenta": 0.5},
        "momenta=0.5: no such key; did you mean momentum? accepted: name, title",
    ),
    "unknown data key": (
        {"data": [{"kind": "gaussian", "sacle": 1}]},
        "data[0].sacle=1: no such key; did you mean scale? accepted: kind, name, schedule, contrast, ",
    ),
    "unknown schedule key": (
        {"schedule": {"initial": 1, "power": 0.5}},
        "schedule.power=0.5: no such key; accepted: initial, initial_times_margin, exponent",
    ),
    "unknown data": (
        {"data": "mnist"},
        "data[0].kind='mnist': give a kind of data: ",
    ),
    "data without a kind": ({"data": {"scale": 1}}, "give a kind of data"),
    "data that is no table": ({"data": 7}, "data[0]=7"),
    "no data": ({"data": []}, "data=[]: an empty list has no runs"),
    "ambiguous norm": ({"norm": ["max", "l2"]}, "norm="),
    "empty grid": ({"norm": []}, "norm=[]: an empty list has no runs"),
    "momentum of one": ({"momentum": [0.5, 1]}, "1 is no momentum; give a number from 0 up to"),
    "momentum as text": ({"momentum": "0.5"}, "'0.5' is no momentum"),
    "momentum as a switch": ({"momentum": True}, "True is no momentum"),
    "batch size zero": ({"batch_size": 0}, "0 is no batch size; give an integer of at least 1, or 'full'"),
    "batch size a fraction": ({"batch_size": 2.5}, "2.5 is no batch size"),
    "switch as number": ({"variance_reduction": 1}, "1 is neither true nor false"),
    "loss": (
        {"loss": "hinge"},
        "'hinge' is no loss; give one of cross-entropy, exponential, pairwise-logistic",
    ),
    "negative seed": ({"seed": -1}, "-1 is no seed"),
    "steps": ({"steps": 1e4}, "steps=10000.0: give an integer of at least 1"),
    "records": ({"records": 1}, "records=1: give an integer of at least 2"),
    "gap": ({"gap": 0}, "gap=0: give a number between 0 and 1"),
    "exponent": ({"schedule": {"initial": 1, "exponent": 2}}, "schedule.exponent=2: give a number greater"),
    "negative step size": ({"schedule": {"initial": -1}}, "schedule.initial=-1: give a finite number"),
    "no step size": ({"schedule": {"exponent": 0.5}}, "give one of initial"),
    "two step sizes": ({"schedule": {"initial": 1, "initial_times_margin": 1}}, "give one of initial"),
    "norm without step size": (
        {"schedule": {"initial": {"spectral": 0.3}}},
        "schedule='max': data set gaussian has no step size for this norm",
    ),
    "momentum of 400 digits": ({"momentum": 10**400}, "give a number from 0 up to, but not including, 1"),
    "norm as number": ({"norm": ["max", 3]}, "norm=['max', 3]: 3: several norms of a matrix go by this"),
    "nested list": ({"momentum": [[0.5]]}, "[0.5] is no momentum"),
    "not a number": ({"momentum": float("nan")}, "nan is no momentum"),
    "batch size below zero": ({"batch_size": [5, -5]}, "-5 is no batch size"),
    "batch size as word": ({"batch_size": "half"}, "'half' is no batch size"),
    "seed as fraction": ({"seed": 1.5}, "1.5 is no seed; give an integer of at least 0"),
    "seed too large": ({"seed": 2**63}, "is no seed; give an integer of at least 0 and below 2^63"),
    "steps as list": ({"steps": [10, 20]}, "steps=[10, 20]: give an integer of at least 1"),
    "steps without end": ({"steps": 10**20}, "give an integer of at most 1,000,000,000,000,000"),
    "records zero": ({"records": 0}, "records=0: give an integer of at least 2"),
    "gap as list": ({"gap": [1e-8]}, "gap=[1e-08]: give a number between 0 and 1"),
    "bias as text": ({"bias": "yes"}, "bias='yes': 'yes' is neither true nor false"),
    "title": ({"title": ["a"]}, "title=['a']: give text"),
    "schedule that is no table": ({"schedule": 0.1}, "schedule=0.1: give a table, such as { initial = 0.1"),
    "schedule as grid": ({"schedule": {"initial": [0.1, 0.2]}}, "schedule.initial=[0.1, 0.2]: give a finite"),
    "schedule for a norm that is none": (
        {"schedule": {"initial": {"l2": 1}}},
        "schedule.initial={'l2': 1}: ",
    ),
    "quick that is no table": ({"quick": True}, "quick=True: give a table of keys and values"),
    "file without path": ({"data": {"kind": "file"}}, "data[0].path=None: is required"),
    "path that is none": (
        {"data": {"kind": "file", "path": 3}},
        "data[0].path=3: give the path of a file, as text",
    ),
    "name of data": (
        {"data": {"kind": "digits", "name": "a b"}},
        "data[0].name='a b': give a name of letters",
    ),
    "step size of data": (
        {"data": {"kind": "gaussian", "schedule": {"initial": -1}}},
        "data[0].schedule.initial=-1: give a finite number",
    ),
    "signal": ({"signal": ["minibatch", "sag"]}, "'sag' is no signal; give one of minibatch, svrg"),
    "signals twice": (
        {"signals": "svrg", "variance_reduction": True},
        "variance_reduction=True: leave it out, signals says it",
    ),
    "kind of momentum": ({"momentum_kind": "sum"}, "'sum' is no momentum kind; give one of ema"),
    "plug-in": ({"plugins": "none.py"}, "none.py': no such file"),
    "plug-in as number": ({"plugins": [3]}, "plugins=3: give files or modules"),
    "list as claim": ({"claims": [["all"]]}, "['all'] is no claim"),
    "batch-one figure of other runs": (
        {"figure": "batch-one"},
        "figure='batch-one': it needs norm max or frobenius, batch_size 1, momentum 0",
    ),
    "claim": ({"claims": ["all"]}, "'all' is no claim; known: full-batch-converges"),
    "figure": (
        {"figure": "pie"},
        "figure='pie': 'pie' is no figure; give one of batch-one, constant-bias, margin-panels",
    ),
    "name": ({"name": "../escape"}, "name='../escape': give a name of letters"),
    "same name twice": ({"data": ["gaussian", "gaussian"]}, "data.name='gaussian': two data sets share it"),
    "classes as text": (
        {"data": {"kind": "mixture", "classes": "many"}},
        "data[0].classes='many': give a whole number",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_with_path_value_and_remedy(case):
    changes, message = REFUSED[case]
    with pytest.raises(InvalidArgument) as caught:
        validated({**SMALLEST, **changes})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_mistakes_are_counted():
    with pytest.raises(InvalidArgument, match=r"\(and 1 more\)"):
        validated({**SMALLEST, "steps": 0, "records": 0})


def test_a_missing_key_is_named():
    with pytest.raises(InvalidArgument, match=r"norm=.*is required"):
        validated({"name": "mine", "data": "gaussian"})


def test_a_file_takes_its_own_name_and_overrides(tmp_path):
    file = tmp_path / "ours.toml"
    file.write_text('norm = "max"\nmomentum = 0.5\n[[data]]\nkind = "gaussian"\n', encoding="utf-8")
    settings = ["momentum=[0, 0.9]", "norm=spectral", "data.0.scale=0.2", "schedule.initial=0.3"]
    experiment = load_experiment(file, parse_overrides(settings))
    assert (experiment.name, experiment.momentum, experiment.norm) == ("ours", (0.0, 0.9), ("spectral",))
    assert experiment.data == (DataSet.model_validate({"kind": "gaussian", "scale": 0.2}),)
    assert experiment.schedule == ScheduleChoice(initial=0.3)


def test_data_files_are_found_beside_the_experiment(tmp_path):
    (tmp_path / "samples.csv").write_text("a,b,label\n1,0,x\n0,1,y\n", encoding="utf-8")
    file = tmp_path / "ours.toml"
    file.write_text('norm = "max"\ndata = { kind = "file", path = "samples.csv" }\n', encoding="utf-8")
    assert load_experiment(file).data[0].load(seed=0).samples == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"norm = = 3", "is not valid TOML: .*line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (None, "cannot be read"),
        (b"steps = " + b"9" * 5000, "is not valid TOML: a whole number has too many digits"),
        (b"steps = " + b"[" * 5000 + b"]" * 5000, "is not valid TOML: its lists or tables are too deep"),
        (
            b"quick = " + b"{a=" * 5000 + b"1" + b"}" * 5000,
            "is not valid TOML: its lists or tables are too d",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_said(tmp_path, content, message):
    file = tmp_path / "bad.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        load_experiment(file)


@pytest.mark.parametrize("setting", ["momentum", "=3", "momentum="])
def test_a_setting_without_key_or_value_is_refused(setting):
    with pytest.raises(InvalidArgument, match="write key=value"):
        parse_overrides([setting])


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000, "[1"])
def test_a_value_that_cannot_be_read_is_text(value):
    assert parse_overrides([f"steps={value}"]) == {"steps": value}


@pytest.mark.parametrize("key", ["data.7.scale", "data.first.scale", "norm.0.deep"])
def test_an_override_of_a_place_that_is_not_there_is_refused(tmp_path, key):
    file = tmp_path / "ours.toml"
    file.write_text('norm = ["max"]\ndata = ["gaussian"]\n', encoding="utf-8")
    with pytest.raises(InvalidArgument):
        load_experiment(file, {key: 1})


def test_step_sizes_follow_the_margin_or_the_table():
    choice = ScheduleChoice(initial_times_margin=0.15)
    assert choice.initial_step_size("max", margin=0.3) == pytest.approx(0.5)
    table = ScheduleChoice(initial={"entrywise-2": 1.0, "max": 0.03})
    assert table.initial_step_size("frobenius", margin=9.0) == 1.0
    assert table.for_norm("max") == ScheduleChoice(initial=0.03)


def test_cells_cover_the_grid_once_and_full_is_n():
    experiment = validated(
        {**SMALLEST, "batch_size": [5, "full", 100], "momentum": [0, 0.9], "seed": [1, 2], "steps": 10}
    )
    cells = resolve(experiment).cells
    assert [(cell.seed, cell.batch_size) for cell in cells] == [(1, 5), (1, 100), (2, 5), (2, 100)]
    assert cells[0].run_steps == 20
    methods = cells[1].methods(margin=0.5)
    assert [(m.batch_size, m.momentum, m.seed) for m in methods] == [(None, 0.0, 1), (None, 0.9, 1)]
    assert methods[0].schedule(0) == pytest.approx(0.3)


def test_a_batch_larger_than_the_data_is_refused():
    experiment = validated({**SMALLEST, "batch_size": 101})
    with pytest.raises(InvalidArgument, match="batch_size=101: data set gaussian has 100 samples"):
        resolve(experiment)


UNFIT = {
    "scales in the wrong order": (
        {"data": {"kind": "orthogonal", "smallest_scale": 5, "largest_scale": 1}},
        "data[0].largest_scale=1.0: give at least smallest_scale (5.0)",
    ),
    "more than memory holds": (
        {"data": ["mixture", {"kind": "gaussian", "classes": 10**6, "samples_per_class": 10**6}]},
        "data[1]='gaussian': it does not fit in memory",
    ),
    "scale of data": ({"data": {"kind": "gaussian", "scale": 0}}, "data[0].scale=0.0: give a finite number"),
    "classes": (
        {"data": {"kind": "mixture", "classes": 1}},
        "data[0].classes=1: give a whole number of at least 2",
    ),
    "a bias direction of other data": (
        {"bias": True, "norm": "frobenius", "data": {"kind": "gaussian", "classes": 3}},
        "bias=True: data set gaussian: ",
    ),
}


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit_its_data_is_refused_before_anything_is_computed(case):
    changes, message = UNFIT[case]
    experiment = validated({**SMALLEST, **changes})
    with pytest.raises(InvalidArgument) as caught:
        resolve(experiment)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_reduced_form_replaces_the_keys_of_quick():
    experiment = validated({**SMALLEST, "seed": [0, 1], "quick": {"seed": 0, "steps": 10}})
    assert (experiment.reduced().seed, experiment.reduced().steps) == ((0,), 10)
    with pytest.raises(InvalidArgument, match="no such key"):
        validated({**SMALLEST, "quick": {"seeds": 0}}).reduced()
