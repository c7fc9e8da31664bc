"""`qd-fool audit`: how confidently can this classifier be wrong?"""
