"""The napari side: reader, writer, sample, menus, the live session and its dock widget.

====================  ==========================================================================
``session``           what one viewer knows of its slide; the desks hang on it
``dock``, ``panels``  the panel beside the slide, a step of the journey each; ``parts`` they share
``desks``             one a subject: what the session knows of it, and does when it is asked
``tools``             what corrects the tissue: brush, likeness, fine window, the whole mask
``timeline``          every correction, which can be gone back to
``layers``            what lies in napari's list of layers, and how it is drawn
``saving``            what is kept on disk, asked for or not
``work``              runs and other long work, beside the window
``words``             what is said to a person
====================  ==========================================================================

The other files are the doors: what napari, its menus and the command line call.
"""
