"""What a run says about itself when it is over."""

from qd_fool.commands.evolve.words import share_of_the_original


def test_the_share_of_the_originals_search():
    """400 at random and 5001 generations of 400; 200 and 5010 of 200."""
    assert "1.0% of the original's" in share_of_the_original("cppn", 20_008)
    assert "2,000,800 pictures" in share_of_the_original("cppn", 400)
    assert "1,002,200 pictures" in share_of_the_original("direct", 400)
