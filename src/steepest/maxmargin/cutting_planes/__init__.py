"""Max margins in any norm that has a value, a dual and a direction: cutting planes of the dual norm."""
