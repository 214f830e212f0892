"""The closed lists behind BIDS names: what may stay in a path because it is a technical word.

Source: BIDS 1.10 (entities, suffixes, data types, template spaces), extended by words in common use.
"""


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as a block of text."""
    return frozenset(text.split())


DATATYPES = words(
    """
    anat func dwi fmap perf pet meg eeg ieeg beh micr motion nirs mrs ct figures surf xfm log transforms
    """
)
FOLDERS = frozenset({"derivatives", "sourcedata", "rawdata", "phenotype"})
PIPELINES = words(
    """
    fmriprep freesurfer fastsurfer mriqc xcp_d xcpd qsiprep qsirecon smriprep nibabies infantfs aslprep
    petprep ciftify hcp hcppipelines tractoflow dmriprep fitlins fsl spm spm12 afni ants mrtrix mrtrix3
    cat12 dartel tedana pydeface mideface fslanat anat preproc nilearn brainstorm mne eeglab nipype
    masks rois lesions seg segmentation synthseg hippunfold bidspm micapipe clinica cpac denoise sct
    spinalcordtoolbox defaced skullstripped brainextraction registration samseg totalsegmentator nnunet
    manual_masks manual labels
    """
)

SUFFIXES = words(
    """
    T1w T2w PDw T2starw FLAIR PDT2 inplaneT1 inplaneT2 angio T1map T2map T2starmap R1map R2map R2starmap
    PDmap MTRmap MTsat T1rho MWFmap MTVmap Chimap M0map S0map UNIT1 VFA IRT1 MP2RAGE MESE MEGRE MTR MTS
    MPM TB1DAM TB1EPI TB1AFI TB1TFL TB1RFM TB1SRGE TB1map RB1COR RB1map defacemask PD T1rhomap T2star
    FLASH SWI swi QSM qsm bold cbv sbref phase events physio physioevents stim dwi bval bvec asl m0scan
    aslcontext asllabeling noRF phasediff phase1 phase2 magnitude magnitude1 magnitude2 magnitudes
    fieldmap epi pet blood ct CT channels electrodes coordsystem headshape markers photo eeg meg ieeg
    nirs optodes motion beh svs mrsi unloc mrsref scans sessions participants samples timeseries
    regressors mask dseg probseg boldref xfm dparc mapping boldmap reho alff falff connectivity relmat
    stat statmap cbf att tsnr qsm warp morph thickness curv sulc myelinw smoothwm inflated midthickness
    white pial fa md ad rd FA MD AD RD dwiref dwimap tractography outliers mixing components lesion ROI
    roi T1 T2 dixon petmr suv SUV
    """
)

TOP_LEVEL = frozenset({"dataset_description", "participants", "samples", "scans", "sessions"})

# Entities in file names; the value of "sub" is a person, the rest is judged by labels.is_technical.
ENTITIES = words(
    """
    sub ses sample task tracksys acq ce trc stain rec dir run mod echo flip inv mt part proc hemi space
    split recording chunk seg res den label desc atlas roi scale model stat from to mode cohort tpl desc
    index direction nuc voi feature method param meas subset bval dist
    """
)
INDEX_ENTITIES = frozenset({"run", "echo", "flip", "inv", "split", "chunk", "index", "scale"})

SPACES = words(
    """
    MNI152NLin2009cAsym MNI152NLin2009cSym MNI152NLin2009aAsym MNI152NLin2009aSym MNI152NLin2009bAsym
    MNI152NLin2009bSym MNI152NLin6Asym MNI152NLin6Sym MNI152NLin6ASym MNI152Lin MNI152 MNI305 MNIInfant
    MNIPediatricAsym MNIColin27 ICBM452AirSpace ICBM452Warp5Space IXI549Space fsaverage fsaverage3
    fsaverage4 fsaverage5 fsaverage6 fsaverageSym fsaverageSym fsLR fsnative T1w T2w boldref orig
    individual native scanner Talairach OASIS30ANTs OASIS30Atropos OASISTRT20 UNCInfant NKI SUIT WHS
    NMT31Sym dhcpSym dhcpAsym PNC CIT168 ACPC CapTrak CTF ElektaNeuromag EEGLAB 4DBti KitYokogawa DTI
    DWI dwi T1 T2 acpc anat func epi pet template MNI
    """
)

# Pieces of labels, lower case. A label of such pieces and small numbers stays.
WORDS = words(
    """
    3d 2d abs accelerated adc afni after anat anatomical angio ap arms asc asl atlas attention aud
    auditory average avg axial ax back base baseline bart before beh bias bids biascorrect binary
    bipolar bl blip block bold bolus brain breath breathhold b0 b1 caudal cbf cbv cc cerebellum
    checkerboard choice clean clock coil combined compcor confounds contrast control conv coronal cor
    corrected correction cortex cortical count csf ct ctrl cue cued day decision deep default defaced
    degibbs delay delayed denoised derived dir direction discount dis dist distorted distortion dixon
    down downsampled dti dual dwi dwell dynamic early echo echoes eddy eeg emotion emotional empty
    emptyroom encoding english epi error errors events eyes eyesclosed eyesopen eye ec eo face faces fa
    fast fat fatsat fear feedback feedbacks field fieldmap figure final finger fingertapping fingers
    first fixation flair flanker flash flip fl fmap fmri followup foot fs fse full func functional fu
    fup gad gado gadolinium gambling game gender go gonogo gm gre grase group gsr gz hand hands hardi
    hariri hc head hemi high highres hi hires hippocampus hr hipass house houses icbm image imagery
    images imaginary imag immediate inhibition inhomogeneity init initial inner int interleaved inv
    inversion ips iso isotropic ir joint label labels language large late learning left lesion lesions
    letter letters lh line linear lips listening loc localizer localiser location long longitudinal lo
    low lowres lr magn magnitude mag maps map mask masked math matching matter max mb mdti me mean med
    median medial melodic mem memory mental mid min mni mm modal mo model money monetary month moco
    motion motor movie moviewatching mp2rage mpm mprage mr mrage mri ms mt mton mtoff mtrans multi
    multiband multiecho mux music naming native nat natural naturalistic nback neg negative neuro
    neutral new ni no node noise nogo none norm normal normalized normalised norm nostim npc nodefault
    nothing number numbers object objects oddball off old on one open orig original orthogonal ou out
    outer outliers over pa pain parallel parietal part pasl pcasl passive pc pcc pct pd perf perfusion
    pet phase phasediff phasecontrast phs picture pictures pilot place places plus pos positive post pre
    precue preproc preprocessed primary probabilistic probe prob processed prod production prospect prt
    prf pseudo qa qc qsm qmap r1 r2 rage rand random raw reading real rec recog recognition recon
    reconall ref reference reg registered regressors rel relational repeat res resampled response rest
    resting restingstate resteyesclosed resteyesopen restec resteo retest retinotopy retrieval reversal
    reverse reversed reward rf rh right rigid rl rms roi rois rs rsfmri rst run sag sagittal sbref scan
    scene scenes screen sdc second seg segmentation semantic sense sensory sentence sentences separate
    sequence series session shape shapes shell short sinc single sixty skullstripped skull strip
    stripped slice slow sl small smooth smoothaggressive smoothed social space spatial spgr speech spin
    spiral spoiled spokes sre ss ssfp standard start stat static std stim stimulus stop stopsignal story
    stroop sub subcortical sum surf surface survey swi sym synth synthetic t1 t1w t2 t2w t2star tap
    tapping target task te tedana test thick thin third three time timepoint tip tir tof tom tongue
    topup total tp trace track tracking train training transform trial true tse turbo two unaggressive
    uncorrected uni unit up update upper us utility v vaso vbm verb verbal verbs vfl vibe video view vis
    vision visit visual visuomotor viewing vol volume voxel w warp warped water watching week weight
    weighted wip with without wm word words working workingmemory x y year young z zoom aparc aparcaseg
    aseg aggr aggregated nonaggr smoothaggr brainmask carpetplot summary hmc coreg mi dk dkt destrieux
    schaefer glasser gordon yeo harvardoxford aal aal2 aal3 brainnetome tian power juelich hcp hcpmmp
    tissue gmwm wmh gtm pvc suv suvr tac bp k bpnd fdg pib av45 av1451 florbetapir florbetaben
    flutemetamol flortaucipir mk6240 raclopride fdopa gadobutrol gadoterate ch pial white inflated
    midthickness sphere sulc curv thickness fid spectro press steam semilaser ge siemens philips prisma
    trio skyra verio hz khz tr ti fov px grappa caipi sms ipat nd dn den low2 ses m s l r a p b f i j n
    t d h c u e g o q lps ras las
    """
)

SESSION_WORDS = words(
    """
    baseline base bl pre post followup fup fu screening screen scr test retest scan visit v m mo month
    months w wk week weeks y yr year years d day days t tp time timepoint session ses s run mri mr pet
    func anat fmri meg eeg ct init initial first second third final early late before after intake
    enrollment discharge placebo drug sham active treatment control rest morning evening am pm 3t 7t h
    hour n x implant preop postop intraop op dwi predrug postdrug on off
    """
)

NAME_EXTENSIONS = (
    ".nii.gz",
    ".hdr.gz",
    ".img.gz",
    ".tsv.gz",
    ".nii",
    ".hdr",
    ".img",
    ".json",
    ".tsv",
    ".bvals",
    ".bvecs",
    ".bval",
    ".bvec",
)
CIFTI_EXTENSIONS = tuple(
    sorted(
        f".{kind}.nii"
        for kind in words(
            """
            dconn dtseries pconn ptseries dscalar dlabel pscalar pdconn dpconn pconnseries pconnscalar dfan
            plabel dfibersamp
            """
        )
    )
)
OTHER_EXTENSIONS = tuple(
    sorted(
        words(
            """
            .surf.gii .func.gii .shape.gii .label.gii .gii .gii.gz .mgz .mgh .dcm .txt .csv .h5 .mat
            .edf .vhdr .vmrk .eeg .bdf .set .fdt .fif .ds .snirf .nwb .xml .html .svg .png .jpg .bmp
            .wav .mp4 .mgh.gz .trk .tck .lta .pos .sqd
            """
        )
    )
)
