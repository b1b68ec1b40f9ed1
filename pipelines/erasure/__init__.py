"""Erasure of a person from the lake.

subject        who: identifiers, and the forms in which they are met
originals      landed files without some of their rows
batches        one landed batch: originals, typed rows, records
derived        derived data that name nobody, made anew
traces         the tokens under which a person is published
progress       how far an erasure has come
suppression    whoever was erased does not come back
proving        the search of every byte that finds nothing of the person
erase          all of it, in order, with certificate
"""
