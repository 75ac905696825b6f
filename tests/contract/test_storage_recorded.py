"""A storage that lists what it changes keeps every promise of the one that it wraps."""

from contract.storage_contract import StorageContract
from frumious.storage.local import LocalStorage
from frumious.storage.memory import MemoryStorage
from frumious.storage.recorded import RecordedStorage, change_lists


def recorded(inner, tmp_path):
    lists = change_lists(tmp_path / "lists/changed", tmp_path / "lists/deleted", tmp_path)
    lists.start()
    return RecordedStorage(inner, lists)


class TestRecordedMemory(StorageContract):
    def make(self, tmp_path):
        return recorded(MemoryStorage(), tmp_path)


class TestRecordedLocal(StorageContract):
    def make(self, tmp_path):
        (tmp_path / "mirror").mkdir()
        return recorded(LocalStorage(tmp_path / "mirror"), tmp_path)
