"""What the core and the scene can say, for translators. Written by `make lists`; do not change it by hand.

Slicer's tools find these texts as they find those of any module, in the context "gui.sentences"; `gui.spoken` looks
them up when a sentence is shown. Values have names in braces, which a translation keeps.
"""

from __future__ import annotations


def _(text: str) -> str:
    """Mark a text for translators; it is translated where it is shown."""
    return text


SENTENCES = (
    _("A DICOM report refers to DICOM images; give {image} as a DICOM series, or leave --dicom out."),
    _("A case of the datalist has the {key} {shown}; give each {key} as text in quotes, or leave it out."),
    _('A case of the datalist is not an object; each needs keys such as "id", "ct", "segmentation".'),
    _("A file of {role} cannot be read; copy or export the series again."),
    _("A file of {role} is cut off or damaged; copy or export the series again."),
    _(
        "A folder was given for {role} where one image file is needed; load a DICOM series in 3D Slicer and save "
        "it as NRRD or NIfTI."
    ),
    _("A hole of {value} ml in the liver mask was left open; fill it if it is liver or tumor."),
    _("A lesion of {value} ml lies outside the liver and is not graded; extend the liver mask to it, or erase it."),
    _(
        "A non-linear transform bends the reference image in the scene; volumes and shapes are measured before it. "
        "Harden the transform to measure after it."
    ),
    _("A segment could not be changed; save the scene, load it again and try once more."),
    _("A segmentation is written as .seg.nrrd; choose a file name that ends so."),
    _("Add the tumor to the liver"),
    _("An image cannot be written as '{suffix}'; use .nii.gz, .nrrd or .mha."),
    _("An input was removed while the case was graded; choose the inputs again and grade."),
    _("An unexpected fault stopped it ({name}); try again, and report it if it stays; {where}."),
    _("An unexpected fault stopped the grading ({name}); grade again, and report it if it stays; {where}."),
    _("An unexpected fault stopped the grading ({name}); grade again, and report it; {where}."),
    _("Analyzing {value}"),
    _(
        "Another window changed the {words} of case {value} at the same time; yours is kept, and the other is on "
        "record in the file of the review."
    ),
    _("Another window is writing the review; the change is saved in a moment."),
    _("Another window works on this list; it changed {changed}."),
    _("Case {value} cannot be opened. {error}"),
    _("Case {value} has a {allowed} that is neither yes nor no; write one of them."),
    _("Case {value} of the datalist has a label and a {key}; leave one."),
    _("Case {value} of the datalist has a segmentation, and masks in files of their own; leave one."),
    _(
        "Case {value} of the datalist has an image {channel} that is '{shown}' in \"modality\"; name each channel "
        "CT, FDG or acetate there."
    ),
    _("Case {value} of the datalist has the unknown key {unknown}; known are {join}."),
    _("Case {value} of the datalist has two images for {key}; leave one."),
    _("Case {value} of the datalist has {not_text} that is not text; give one path."),
    _("Checking masks and images"),
    _("Coloring the regions"),
    _("Deciding"),
    _("Drawing"),
    _("Erase the stray pieces of the liver"),
    _("Erase this lesion"),
    _("Erase this voxel"),
    _("Every case of the list has a grade already."),
    _("Every image is left out; keep at least one."),
    _("Every lesion was taken out, so no grade is given."),
    _("Every tumor segment is one lesion already, so there is nothing to split."),
    _("FDG and acetate are the same image; check which file was given for which tracer."),
    _("Fill the small holes of the liver"),
    _("Fill this hole of the liver"),
    _("Give every lesion a segment of its own"),
    _("Images read"),
    _("It was stopped."),
    _("Keep the largest piece of the liver and those with tumor"),
    _("Lesion {number}"),
    _("Less than a tenth of the liver is free of tumor; check both masks."),
    _("Line {line} of {role} has more cells than there are columns; quote cells that hold a separator."),
    _("Line {value} of {role} has quotes that do not match, or a cell that is too long; correct it."),
    _("Loading the model"),
    _("More than {most_segments} segments are not saved; keep the liver and its tumors only."),
    _("No case is graded yet; choose the inputs and grade it first."),
    _("No evidence"),
    _("No fix is proposed."),
    _("No fix was accepted that could be undone."),
    _("No image is chosen; choose a CT, or a PET with masks drawn on it."),
    _("No image is given; give a CT (--ct), or a PET (--fdg, --acetate) with masks drawn on it."),
    _("No image is listed; a case needs a CT, an FDG PET or an acetate PET."),
    _("No liver is left outside the tumor, so there is nothing to compare the tumor with; draw the whole liver."),
    _("No segment has a voxel, so there is nothing to save; draw the liver and its tumors."),
    _(
        "No segment is recognized as the liver among {listed}; say which one it is (--liver NAME or LABEL on the "
        "command line), or draw it."
    ),
    _("No segmentation is chosen; choose the one with the liver and its tumors."),
    _("No segmentation is given; give the file with the liver and its tumors."),
    _("No segmentation is listed; draw the liver and its tumors."),
    _("No segmentation is listed; draw the masks."),
    _("No {lesion} is marked in the {organ}, so no grade is given."),
    _("None of the images can be read by the model '{name}'; it reads {known}."),
    _("Number and shape of lesions"),
    _("Of the parts of the liver {empty} hold no voxel; draw them, unless they were resected."),
    _("Only a tumor segment can be split into lesions; choose one."),
    _("Only {value} % of the liver mask lies inside the image; the rest was left out."),
    _("Opening {case_id}"),
    _("Parenchyma"),
    _("REACTKD proposed masks"),
    _("RT dose (RTDOSE)"),
    _("RT plan (RTPLAN)"),
    _("RT structure set (RTSTRUCT)"),
    _("Reading the case"),
    _("Reading the images"),
    _("Reading the masks"),
    _("Remove small islands of the tumor"),
    _("Saving the masks of {case_id}"),
    _("Slicer's Python (PythonSlicer) was not found beside the application; install Slicer again."),
    _("Some of the review could not be read and was left out; the file as it was is kept as '{name}'."),
    _("The CT has pixels of {spacing} mm; texture and capsule of lesions are lost above 2 mm."),
    _(
        "The CT is {median} HU inside the liver mask where a liver has 30 to 150; check that the mask lies on the "
        "liver and belongs to this CT."
    ),
    _("The CT slices are {spacing} mm apart; texture and capsule of lesions are lost above 5 mm."),
    _("The DICOM segmentation describes no segment; export it again."),
    _(
        "The DICOM segmentation's frames are shifted sideways against each other; resample it to the CT in 3D "
        "Slicer and save it as .seg.nrrd."
    ),
    _(
        "The DICOM segmentation's frames lie on no even grid; resample it to the CT in 3D Slicer and save it as "
        ".seg.nrrd."
    ),
    _(
        "The DICOM segmentation's frames lie too far apart for one volume; resample it to the CT in 3D Slicer and "
        "save it as .seg.nrrd."
    ),
    _(
        "The DICOM segmentations in the folder lie on grids that do not match; give one file, or put them together "
        "in 3D Slicer and save them as .seg.nrrd."
    ),
    _("The GPU was not used: {reason}. The CPU did the work."),
    _("The Python package '{name}' is not installed or not whole; install REACTKD's packages again."),
    _("The axes of {name} lie in one plane; correct its direction matrix or export it again."),
    _(
        "The axes of {role} are not perpendicular (a tilted gantry), which NIfTI readers refuse; straighten the "
        "volume in 3D Slicer or save it as NRRD."
    ),
    _("The axes of {role} lie in one plane; correct its direction matrix or export the image again."),
    _("The axes of {role}'s sform {what}; its qform was taken."),
    _("The case has no image; give a CT, or a PET with masks drawn on it."),
    _("The corrected liver needs another part of the images than had been read, so they were read anew."),
    _("The corrected masks of this case are not where they were saved; those listed are shown."),
    _("The corrected masks of {value} could not be saved. {error}"),
    _("The datalist is not readable JSON{why}; correct the file."),
    _('The datalist must be an object with a list "training" of cases.'),
    _("The description of the model carries no checksum, so its claims are not verified; save the model again."),
    _("The description of the model {value} is not valid ({shown}); copy the model folder again."),
    _("The file STOP cannot be written to the run's folder ({strerror}); stop it where it was started."),
    _(
        "The file given for the segmentation is an RT structure set (RTSTRUCT), which holds contours; convert it "
        "to a segmentation in 3D Slicer and save that as .seg.nrrd."
    ),
    _(
        "The file given for the segmentation is no DICOM segmentation (SEG) that can be read; give the SEG object, "
        "a .seg.nrrd or a label map."
    ),
    _("The file is no DICOM object that can be read; give the folder of the series."),
    _("The file is not a scene that Slicer can read; save the scene again as .mrb."),
    _("The file of the review was damaged; it was kept as '{name}' and {rest}."),
    _("The file of the {name} holds no segments; give a .seg.nrrd or a label map."),
    _("The file of the {name} is not an image that can be read; give a NIfTI, NRRD or MHA file."),
    _("The file of {role} cannot be read ({strerror}); copy it again."),
    _("The file of {role} cannot be read; copy or export it again."),
    _("The file of {role} holds more voxels than its header states, so it is damaged; export it again."),
    _("The file of {role} is a header alone, and its data file is missing; copy both into one folder."),
    _(
        "The file of {role} is an Analyze file or a damaged NIfTI file, which does not say where its axes point; "
        "save it as NIfTI, NRRD or MHA."
    ),
    _("The file of {role} is cut off or damaged; copy or export it again."),
    _("The file of {role} is not an image that can be read; give a NIfTI, NRRD or MHA file."),
    _(
        "The file of {role} states two voxel sizes or places, and 3D Slicer took another one than the command line "
        "takes; correct the file's header, load it again and grade that."
    ),
    _("The first line of {role} states a separator that is not known; use commas or semicolons."),
    _(
        "The folder given for the segmentation holds {objects} segmentations of the same structures: {titles}; "
        "give the file of the one that counts."
    ),
    _(
        "The folder given for the segmentation holds {objects} segmentations that were not drawn on one series: "
        "{titles}; give the file of one."
    ),
    _("The folder given for {role} has no {get} series ({seen}); give the series' own folder."),
    _(
        "The folder given for {role} holds {candidates} {get} series: {title}; give the folder of one, or one file "
        "of it."
    ),
    _("The folder of corrected masks beside the list is a link to another place; put a folder there instead."),
    _("The folder of the grading process was removed from the temporary folder; grade again."),
    _("The geometry of {name} holds values that are not numbers; export the image again."),
    _("The grading process did not start; restart the application, or install the extension again."),
    _("The grading process ended unexpectedly, perhaps for lack of memory; grade again, and it starts anew by itself."),
    _("The grading process gave an answer that cannot be read and was ended; grade again, and it starts anew."),
    _("The grading was stopped."),
    _("The grading was stopped; nothing was written."),
    _("The header of {role} cannot be read; export the image again as NIfTI, NRRD or MHA."),
    _("The header of {role} does not say that its values are Hounsfield units (it says {unclear})."),
    _(
        "The header of {role} names its data file by an absolute path; put the file beside the header and write "
        "its name alone."
    ),
    _("The header of {role} points to something that is not a file; export the image again."),
    _(
        "The header of {role} scales its values by {slope} and adds {intercept}, which gives no values; export the "
        "image again."
    ),
    _("The header of {role} scales its values, which readers ignore; export it with its true values."),
    _("The header of {role} states {shown} voxels, more than any scan has; export the image again."),
    _("The image that is chosen as {image} is named like {image2}; check which is which."),
    _("The images of this case are not held any more; grade the case again."),
    _("The labels have no names; 1 was read as liver and 2 as tumor, as public liver data sets write them."),
    _("The liver is cut at the {side} of the image, so lesions beyond it are not seen."),
    _(
        "The liver is drawn in parts, {name}, without the segments {missing}; draw these or the whole liver, or "
        "name all parts that there are (--liver on the command line)."
    ),
    _(
        "The liver is larger than the network's field; voxels of {value} mm instead of {spacing_mm} mm are used, "
        "so small lesions are seen less well."
    ),
    _("The liver lies on the patient's left; check that the image is not mirrored."),
    _(
        "The liver mask does not overlap the image; check that both belong to the same patient and scan, and that "
        "both are under the transform they belong to."
    ),
    _("The liver mask does not overlap the image; check that both belong to the same patient and scan."),
    _("The liver mask has only {counted}; draw the whole liver, or choose the segment that holds it."),
    _("The liver mask has only {milliliters} ml; draw the whole liver, or correct the voxel spacing."),
    _(
        "The liver mask has {whole} ml, which is {word} for a liver ({liver_ml} to {liver_ml2} ml); check the mask "
        "and the voxel spacing."
    ),
    _("The liver mask is empty; draw the liver, or choose the segment that holds it."),
    _("The liver mask is in {kept} pieces; connect them, or erase those that are not liver."),
    _("The liver segment is empty; draw the liver, or choose the segment that holds it."),
    _("The liver segment {name} is empty; draw the liver, or choose the segment that holds it."),
    _(
        "The liver takes up more of the FDG image than of the acetate image, relative to the body, where acetate "
        "is usually well above; check that the two are not exchanged."
    ),
    _("The liver was put together from the segments {drawn}."),
    _("The masks do not have this fault any more; grade again to renew the list."),
    _("The model '{shipped}' is not installed with REACTKD; install the extension again or choose a model folder."),
    _("The model does not read {value}; it was not used."),
    _("The model folder '{name}' has no {join}; choose a complete model folder."),
    _(
        "The model is not for clinical use, so its results are not written as DICOM under what may be a patient's "
        "identity; de-identify the series first (Patient Identity Removed: YES, no birth date)."
    ),
    _("The model {value} gives no number for this case; copy the model folder again, or choose another model."),
    _("The output folder cannot be written ({why}); choose another folder."),
    _(
        "The panel and the process that computes do not understand each other ('{where}'); restart 3D Slicer, and "
        "install the extension again if it stays."
    ),
    _(
        "The patient id of a phantom must read PHANTOM- and then capital letters, digits and '-', so that nobody "
        "takes it for a patient's; choose such an id."
    ),
    _("The pixels of {role} are compressed in a way that cannot be read; export it uncompressed."),
    _("The pixels of {role} are damaged or cut off; copy or export the series again."),
    _("The region map has {shape} voxels where the DICOM images have {shape2}."),
    _("The rest was stopped."),
    _("The results could not be written beside the list; they are in the table here."),
    _(
        "The review cannot be saved beside the list; work goes on, but grades and marks are lost when Slicer "
        "closes. Copy the list to a folder that you may write to."
    ),
    _(
        "The review names corrected masks that are no file of this case in its own folder, so they were not read; "
        "correct the review, or draw them again."
    ),
    _("The review of this list was written by a newer version of REACTKD; it is not changed, and nothing is saved."),
    _("The scene cannot be written there ({why}); choose another folder."),
    _("The segment chosen as {role} is gone; choose the segments again."),
    _(
        "The segment {unclear} may be the tumor of the liver, or the liver without it or with it; say which "
        "segment is the tumor (--tumor NAME or LABEL on the command line), or rename it."
    ),
    _("The segmentation describes a segment without a label; save it again in 3D Slicer."),
    _("The segmentation does not state which voxels belong to which segment; save it again in 3D Slicer."),
    _("The segmentation file holds a picture, not labels; give a label map or a .seg.nrrd."),
    _("The segmentation file holds no geometry but has the shape of the image, so it was laid on the image."),
    _("The segmentation file holds {labels} different values, as an image does; give a label map."),
    _("The segmentation is empty: no voxel is labeled; draw the liver and its tumors, or choose another file."),
    _("The segmentation is empty; draw the liver and its tumors, or choose another file."),
    _("The segmentation lies on another grid than the image and was resampled to it (nearest voxel)."),
    _("The segmentation names a layer that is not in the file; save it again in 3D Slicer."),
    _("The segmentation was put together from {objects} DICOM objects: {titles}."),
    _(
        "The segments {names} may show one tumor drawn twice, as by a person and by a program; say which are to be "
        "graded (--tumor NAME or LABEL on the command line)."
    ),
    _("The segments {name} all look like the liver; say which one it is (--liver NAME or LABEL on the command line)."),
    _("The table is {table} in {name}."),
    _(
        "The temporary folder cannot be written ({strerror}); free some space there, or set another temporary "
        "folder, and grade again."
    ),
    _("The temporary folder is full, so the grading process ended; free some space there and grade again."),
    _("The tracer of {role} is known only by its half-life or nuclide ({nuclide})."),
    _("The training's files are not what REACTKDTrain writes; choose the folder of another run."),
    _("The tumor lies wholly outside the liver; check that both masks belong to this patient and this image."),
    _(
        "The tumor mask has {count} separate lesions where at most {most_lesions} are graded; remove its small "
        "islands (Segment Editor, Islands), or choose the segment that holds the tumor."
    ),
    _("The tumor mask is empty, so no grade can be given."),
    _("The voxel spacing of {name} is zero along an axis; correct the spacing or export it again."),
    _("The voxels of {role} are of a kind that no scan has (type {code}); save it as 16-bit or float."),
    _("The voxels of {role} are packed in a way that is not read; save it as NRRD with gzip, or as NIfTI."),
    _("The weights do not fit the configuration of the model '{name}'; copy the model folder again."),
    _("The weights file {name} holds more than numbers and was not opened; ask for the model as a plain state dict."),
    _("The weights file {name} holds more than tensors; ask for the model as a plain state dict."),
    _("The weights of the model '{name}' hold NaN or infinity; train it again."),
    _("The whole {organ} is marked as {lesion}; without other tissue to compare with the answer means little."),
    _("The worklist has unknown columns {unknown}; its columns are {join}."),
    _("The worklist holds no case; give a CSV with a row, or a folder with a folder, for each case."),
    _("The worklist names {twice} more than once; give each case a name of its own."),
    _("The {name} mask has {shape} voxels where the image has {shape2}; resample the mask to the image's grid."),
    _("The {organ} mask is empty; draw the {organ}, or choose the segment that holds it."),
    _("The {upper} PET does not overlap the liver; check that it belongs to this patient and is registered to the CT."),
    _("There is no device '{device}'; choose auto, cpu or cuda."),
    _("There is no file at the path given for the segmentation; check the path."),
    _("There is no file at the path given for {role}; check the path."),
    _("There is no file for the {name}; check the path."),
    _("There is no fix for the finding '{code}'; correct the masks by hand."),
    _("There is no folder at the path given; check the path."),
    _("There is no region '{wish}'; the regions are {join}."),
    _("There is no segment '{wanted}'; the segmentation has {listed}."),
    _("There is no training run in the folder (no run.json); choose REACTKDTrain's output folder."),
    _("There is no worklist at the path given; give a CSV file, a datalist (.json) or a folder of case folders."),
    _("There is not enough memory for this case; close other programs, or crop the images."),
    _("This file holds the review of a list; open the list itself, which lies beside it."),
    _("This is the first case of the list."),
    _("This is the last case of the list."),
    _("What the panel handed over to the process that computes is damaged or gone; grade again."),
    _("are"),
    _("back"),
    _("begins anew"),
    _("between slice {value} and {value2} of {index} there are {steps} mm, not {step}"),
    _("contradicts itself ({name})"),
    _("corrected masks"),
    _("every voxel is {low}"),
    _("front"),
    _("hardly any voxel lies between {soft_tissue} and {soft_tissue2}, where soft tissue is"),
    _("in Bq/ml"),
    _("in an unknown unit"),
    _("injection and scan lie {value} minutes apart by the header, which no scan with this radionuclide does"),
    _("injection time and injection date-time contradict each other"),
    _("is"),
    _("is written again"),
    _("it does not say which corrections were made (Corrected Image)"),
    _("it holds no DICOM images"),
    _("it holds padding only"),
    _("it holds {others}"),
    _("it is not corrected for attenuation, so its values are no uptake"),
    _("it is not corrected for decay"),
    _("it may be full"),
    _("it states {injections} injections, and not which activity is of which"),
    _("its decay correction is '{decay_correction}', not START or ADMIN"),
    _("its images state different offsets from UTC"),
    _("its units are '{units}', from which no activity follows"),
    _("its units are counts (CNTS) without the factors that Philips stores beside them"),
    _("its values run from {low} to {high} and air and fat are missing"),
    _("its values run from {low} to {high} like those of a picture"),
    _("its values span only {low} to {high}"),
    _("large"),
    _("left"),
    _("lesion"),
    _("liver"),
    _("lower end"),
    _("model's grade"),
    _("neither series nor acquisition time is stated"),
    _("not named"),
    _("not stated"),
    _("nothing is below zero and half of its values are below {lowest_tissue_median}, as in a PET"),
    _("only localizers or projections"),
    _("reader's grade"),
    _("reason of a failure"),
    _("reviewed mark"),
    _("right"),
    _("says nothing about it"),
    _("small"),
    _("structured report (SR)"),
    _("the CT"),
    _("the FDG PET"),
    _("the acetate PET"),
    _("the disk did not keep what was written"),
    _("the disk is full or refused it"),
    _("the disk refused it"),
    _("the file given for {role} is no slice of its series but a foreign image in it; give one of its slices."),
    _("the file of {role} is missing; correct the path."),
    _(
        "the folder given for {role} holds more than {most_entries} files and folders; give the series' own "
        "folder, or one file of it."
    ),
    _("the half-life of the radionuclide is missing"),
    _("the image"),
    _("the images of {role} are numbered from {lowest}, so slices at one end of it may be lacking."),
    _("the injected dose is missing"),
    _("the injected dose is stated as {dose} Bq, which looks like another unit"),
    _("the injection is stated in UTC, and the offset of the scan's clock is not stated"),
    _("the liver mask"),
    _("the name of {role} is none that a file can have; correct the path."),
    _("the opening of a case"),
    _("the patient's weight is missing"),
    _("the patient's weight is stated as {weight} kg"),
    _("the scene could not be packed"),
    _("the segmentation"),
    _("the series of {role} holds {join} beside its slices; {left} left out."),
    _("the time of injection is missing"),
    _("the tumor mask"),
    _("the values are SUV by {suv_type}, not by body weight"),
    _("too many of its values are above {bone}, where only bone and metal are"),
    _("trained on digital phantoms: not for clinical use"),
    _("tumor"),
    _("upper end"),
    _("{counted} in the liver mask, {value} ml in all, counted as liver."),
    _("{counted} of the liver mask under {speck_ml} ml, {value} ml in all, not counted as liver."),
    _(
        "{counted} under {smallest_lesion_ml} ml, {value} ml in all, {value2} not graded; erase what is a slip of "
        "the brush, or keep small lesions (--keep-specks on the command line)."
    ),
    _("{count} case"),
    _("{count} cases"),
    _("{count} lesion"),
    _("{count} lesions"),
    _("{count} slice"),
    _("{count} slices"),
    _("{count} small hole"),
    _("{count} small holes"),
    _("{count} stray piece"),
    _("{count} stray pieces"),
    _("{count} voxel"),
    _("{count} voxels"),
    _("{failed} failed; the table above says why."),
    _("{first} and {second} are of different patients by their DICOM headers, which was allowed."),
    _(
        "{first} and {second} are of different patients by their DICOM headers; give the files of one patient, or "
        "allow it (--different-patients-ok) where each was given a pseudonym of its own."
    ),
    _(
        "{first} and {second} may be of different patients: their DICOM headers agree in part only (name, birth "
        "date or sex); check whose they are."
    ),
    _("{image} and {image2} are the same image; choose one image for each."),
    _("{image} covers {value} % of the liver; the rest is unseen by it."),
    _("{image} does not overlap the liver; check that it belongs to this patient and is registered to the CT."),
    _(
        "{image} has voxels of exactly 1 mm at the origin, as files do that lost their geometry; if so, volumes in "
        "ml are wrong."
    ),
    _("{image} is {words}, so no SUV is reported; the grade does not depend on the unit."),
    _(
        "{image} lies on the other image by one of the two places that their headers state and beside it by the "
        "other; save both again with one geometry (qform and sform alike)."
    ),
    _(
        "{label} has {ndim} dimensions and {size} values where a 3-D image is needed; split a time series or a "
        "color image into single volumes first."
    ),
    _("{label} holds NaN or infinite voxels; replace them (for CT by -1024) and save it again."),
    _("{listed} are of different studies; check that they show the patient in the same state."),
    _(
        "{listed} do not share one frame of reference, so equal positions need not be the same place in the "
        "patient; check that they lie on each other."
    ),
    _("{message}; '{prog} --help' lists what is possible."),
    _("{named} by text and {nuclide} by code or half-life"),
    _("{named} with the half-life or code of {nuclide}"),
    _("{name} ({value} mm3) is smaller than a cell of the network's maps ({value2} mm), so little of it is seen."),
    _("{name} is a single voxel; erase it if it is a slip."),
    _("{name} is cut by the edge of the image."),
    _("{name} is not a weights file of PyTorch; copy the model folder again."),
    _("{name} is smaller than a cell of the network's maps, so little of it is seen."),
    _("{name} was taken out of the sum."),
    _("{nuclide} by code and {by_half_life} by half-life"),
    _("{role} cannot be read; check its permissions."),
    _("{role} cannot be used: {error}; give the corrected series in Bq/ml."),
    _(
        "{role} does not state the rescale {name} of every slice, so its values mean nothing; export the series "
        "again from the archive."
    ),
    _("{role} does not state the size of its pixels; export the series again."),
    _("{role} does not state {what}; check that left and right, sizes and places are as they should be."),
    _("{role} has compressed pixels and does not say how (no transfer syntax); export the series again."),
    _(
        "{role} has different images at the same place and nothing that tells them apart; give a folder with one "
        "acquisition."
    ),
    _("{role} has images that do not say where they lie in the patient; export the series again."),
    _("{role} has no SUV, since {error}; the grade does not depend on it."),
    _("{role} has slices at uneven distances: {where}; give an evenly spaced reconstruction."),
    _(
        "{role} has slices that are shifted sideways against each other, by {jump} mm between slice {value} and "
        "{value2} of {shifts}; give a reconstruction in one place."
    ),
    _("{role} has two columns {twice}; leave one."),
    _("{role} has values far below zero ({low}), as a CT has; check which file is which."),
    _("{role} has {count} values in each voxel (a color image?); save one scalar volume."),
    _(
        "{role} has {getnumberofscalarcomponents} values in each voxel where one is needed; split a color image or "
        "a time series into single volumes first."
    ),
    _("{role} holds color or multi-frame images; give the original slices."),
    _("{role} holds images of different patients in one series; give a folder with one patient."),
    _("{role} holds no image; load it again or choose another volume."),
    _("{role} holds no uptake: every voxel is zero or the same; give another file."),
    _("{role} holds several values in each voxel; give a label map of one value."),
    _("{role} holds values below zero; give a label map, not an image."),
    _("{role} holds values that are no labels (infinite or above two billion); give a label map."),
    _(
        "{role} holds values that are not whole numbers, as a map of probabilities or a mask resampled linearly "
        "does; cut it at one half and save it as a label map."
    ),
    _("{role} holds values up to {away} off whole numbers, which were rounded to labels."),
    _("{role} holds {counted} twice; the doubles were left out."),
    _(
        "{role} holds {phases} acquisitions in one series ({sizes} images: contrast phases or time frames); give "
        "one file of the one that is meant instead of the folder."
    ),
    _("{role} holds {slices} multi-frame files; give the one that is meant, in a folder."),
    _("{role} is a 4-D series of {count} volumes where one is needed; save a single one of them."),
    _(
        "{role} is a multi-frame DICOM file whose frames make no single volume; load it in 3D Slicer and save the "
        "volume that is meant as NRRD."
    ),
    _("{role} is a multi-frame DICOM file; for a PET or a DICOM report give the series as single slices."),
    _("{role} is a single slice, not a volume; give the whole 3-D series."),
    _("{role} is a single slice, not a volume; give the whole series."),
    _("{role} is a workbook, not a CSV; save it from the spreadsheet as 'CSV UTF-8'."),
    _("{role} is given as a device or a pipe; give a file."),
    _(
        "{role} is no CT in Hounsfield units but another image derived from one: its header says {name}; give the "
        "CT itself."
    ),
    _("{role} is not a CSV in UTF-8; save it from the spreadsheet as 'CSV UTF-8'."),
    _(
        "{role} is not in Hounsfield units: {fault}; export it again with its rescale values applied, or give a "
        "PET as a PET."
    ),
    _("{role} is too large for a list of cases; check which file it is."),
    _(
        "{role} lacks the column {lacking}; its first line must name the columns, with commas, semicolons or tabs "
        "between them."
    ),
    _("{role} lacks {counted}: {where}; copy or export the whole series again."),
    _(
        "{role} lies under a transform that bends space (a grid or B-spline); harden the transform on it, or move "
        "it out from under it, and grade again."
    ),
    _(
        "{role} lies where the other of two places puts it that a header states; it was laid on the image voxel by "
        "voxel, so check that it fits."
    ),
    _("{role} mixes images of different size or orientation; give a folder with one volume."),
    _("{role} mixes slices of different {name} ({seen}); give a folder with one volume."),
    _(
        "{role} rises from 0 to {int} in steps, as probabilities stored as whole numbers do; cut it at one half "
        "and save it as a label map."
    ),
    _("{role} should be a {wanted} series but is {found}; check which file is which."),
    _("{role} states a position that no scan has; correct it or export the image again."),
    _("{role} states a rescale intercept of {intercept}, which no scanner writes; export the series again."),
    _("{role} states a rescale slope of {shown}, which no scanner writes; export the series again."),
    _(
        "{role} states a rescale slope or intercept that cannot be true for slice {value} of {planes}, as its "
        "values do not fit those beside it; export the series again."
    ),
    _("{role} states a rescale {name} that is no finite number; export the series again."),
    _(
        "{role} states a voxel spacing of {shown} mm where every value must be above zero; correct the spacing or "
        "export the image again."
    ),
    _("{role} states a voxel spacing of {shown} mm, which no scan has; correct the spacing or its unit."),
    _("{role} states another tracer in its header ({name}); check the file."),
    _("{role} states image axes that are not perpendicular; export the series again."),
    _("{role} states its geometry in another unit than mm; export it again in mm."),
    _("{role} states its voxel spacing twice; export the image again."),
    _(
        "{role} states two places, up to {apart} mm apart; its {taken} was taken and its {other} was not, so check "
        "that images and masks lie on each other."
    ),
    _(
        "{role} states two voxel sizes, {first} mm (pixdim) and {second} mm (sform); the sform was taken, so check "
        "the volumes in the report."
    ),
    _("{role} states voxel sizes in its direction matrix and beside it; export the image again."),
    _("{role} states {frames} frames of reference in one series, so its slices may not fit each other."),
    _("{role} states {name} in its header; give it as that tracer ({option}), or check the file."),
    _(
        "{role} was loaded with SUVs that are {value} times what its DICOM header gives by the QIBA rules; the "
        "grade does not depend on it."
    ),
    _("{role} was taken as given; its header {why}."),
    _(
        "{role} was taken with a tilted gantry, so its slices are shifted against each other; load it in 3D "
        "Slicer, which straightens it, and save it as NRRD."
    ),
    _("{skipped} between the slices of {role}, so some may be lacking."),
    _(
        "{stray} was drawn on another series than those given; check that it lies on the liver, or give the series "
        "that it was drawn on."
    ),
    _("{target} cannot be written ({strerror}); {fix}."),
    _("{told}; copy or export the series again."),
    _("{told}; copy or export the whole series again."),
    _("{value} ml of tumor were not in the liver mask and are counted as liver."),
    _("{value} of {counted} graded now."),
    _(
        "{weights} in the model folder '{name}' is not the file that the metadata describes; copy the model folder "
        "again."
    ),
    _("{what} runs in the output folder already ({who}); wait until it has ended, or choose another folder."),
)
