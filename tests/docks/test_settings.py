from napari_im2im.docks.settings import load_settings, remember, settings_path


def test_settings_are_kept_and_forgotten():
    assert load_settings() == {}
    remember(model="a", pace={"a": 1.0})
    remember(model="b")
    assert load_settings() == {"model": "b", "pace": {"a": 1.0}}
    remember(pace=None)
    assert load_settings() == {"model": "b"}


def test_a_damaged_file_is_no_obstacle():
    remember(model="a")
    settings_path().write_text("{half a fi")
    assert load_settings() == {}
    remember(model="b")
    assert load_settings() == {"model": "b"}


def test_a_disk_that_cannot_be_written_is_no_obstacle(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAPARI_IM2IM_HOME", str(tmp_path / "file" / "below"))
    remember(model="a")
    assert load_settings() == {}
