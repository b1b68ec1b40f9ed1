"""The open door: the public site of what the city has opened, a folder of files that any web server, or none, serves.

    content.py     what the site shows, all of it public; whoever fills it in has asked the lake
    pages.py       from the content to the texts of pages, feeds and lists
    rendering.py   templates, and the policy that lets a page run its own script alone
    media.py       what each file is, for S3 and for search engines
    writing.py     the folder: what is new goes in, what is withdrawn goes out first
    ground.py      what lies in it, and that no link in it leads a build elsewhere

The site reads no table and knows no mask: it is told what is open (`pipelines.listing.opened`) and nothing else.
"""

from portal.content import Dataset, Site
from portal.writing import SUMS, Built, Original, build, is_site

__all__ = ["SUMS", "Built", "Dataset", "Original", "Site", "build", "is_site"]
