"""The allow-list of JSON sidecar keys, by what is done with their values.

Sources: BIDS 1.10 metadata glossary (MRI, ASL, PET, EEG, MEG, iEEG, NIRS, events, derivatives), and the keys
that dcm2niix, heudiconv and dcmstack add. A key in none of these lists is dropped with its value.
"""

from deid.nifti.vocabulary import words

TECHNICAL = words(
    """
    RepetitionTime RepetitionTimePreparation RepetitionTimeExcitation EchoTime EchoTime1 EchoTime2
    EchoTimes EchoNumber EchoNumbers EchoTrainLength InversionTime InversionTimes FlipAngle
    MultibandAccelerationFactor MultiBandFactor NumberOfVolumesDiscardedByScanner
    NumberOfVolumesDiscardedByUser DelayTime DelayAfterTrigger AcquisitionDuration SliceTiming SliceTime
    SliceThickness SpacingBetweenSlices SliceEncodingDirection SliceLocation PhaseEncodingDirection
    PhaseEncodingAxis InPlanePhaseEncodingDirectionDICOM PhaseEncodingSteps AcquisitionMatrixPE
    AcquisitionMatrix ReconMatrixPE PhaseEncodingPolarityGE PhaseResolution PhaseOversampling
    EffectiveEchoSpacing DerivedVendorReportedEchoSpacing TotalReadoutTime EstimatedTotalReadoutTime
    EstimatedEffectiveEchoSpacing WaterFatShift EchoSpacing DwellTime BandwidthPerPixelPhaseEncode
    PixelBandwidth ReceiverBandwidth ParallelReductionFactorInPlane ParallelReductionFactorOutOfPlane
    ParallelAcquisitionTechnique PartialFourier PartialFourierDirection PercentPhaseFOV
    PercentPhaseFieldOfView PercentSampling BaseResolution MatrixCoilMode CoilCombinationMethod
    CoilString ReceiveCoilName ReceiveCoilActiveElements NumberReceiveCoilActiveElements
    NumberTransmitCoilActiveElements NumberShots GradientSetType MRTransmitCoilSequence
    NonlinearGradientCorrection MRAcquisitionType ScanningSequence SequenceVariant ScanOptions
    SequenceName PulseSequenceType PulseSequenceDetails SpoilingState SpoilingType
    SpoilingRFPhaseIncrement SpoilingGradientMoment SpoilingGradientDuration WaterSuppression
    WaterSuppressionTechnique MTState MTOffsetFrequency MTPulseBandwidth MTNumberOfPulses MTPulseShape
    MTPulseDuration B0ShimmingTechnique B1ShimmingTechnique B0FieldIdentifier B0FieldSource MixingTime
    TagDelay ImagingFrequency ResonantNucleus TransmitterFrequency MagneticFieldStrength SAR TxRefAmp
    ShimSetting NumberOfAverages NumberOfTemporalPositions SeriesNumber AcquisitionNumber
    TemporalResolution Modality BodyPartExamined BodyPart BodyPartDetails BodyPartDetailsOntology
    PatientPosition Laterality ImageType ImageTypeText ImageOrientationPatientDICOM ImageOrientationText
    ImageOrientationPatient ImagePositionPatient PixelSpacing Rows Columns NumberOfFrames BitsStored
    RescaleSlope RescaleIntercept PhilipsRescaleSlope PhilipsRescaleIntercept PhilipsScaleSlope
    UsePhilipsFloatNotDisplayScaling Manufacturer ManufacturersModelName ManufacturersModelVersion
    HardcopyDeviceSoftwareVersion SoftwareVersions ConversionSoftware ConversionSoftwareVersion
    SoftwareName SoftwareRRID SoftwareVersion Dcm2bidsVersion HeudiconvVersion RawImage Units
    DiffusionScheme DiffusionBValue DiffusionDirectionality NumberOfDiffusionDirections b_value
    MultipartID SkullStripped Resolution Density Type Space Atlas SamplingFrequency StartTime Columns
    RecordingType RecordingDuration EpochLength PowerLineFrequency SubjectArtefactDescription
    EEGReference EEGGround EEGPlacementScheme EEGChannelCount ECGChannelCount EMGChannelCount
    EOGChannelCount MEGChannelCount MEGREFChannelCount MISCChannelCount MiscChannelCount
    TriggerChannelCount SEEGChannelCount ECOGChannelCount iEEGReference iEEGGround iEEGPlacementScheme
    iEEGElectrodeGroups ElectricalStimulation ElectrodeManufacturer ElectrodeManufacturersModelName
    CapManufacturer CapManufacturersModelName HeadCircumference DewarPosition DigitizedLandmarks
    DigitizedHeadPoints ContinuousHeadLocalization HeadCoilFrequency MaxMovement NIRSChannelCount
    NIRSSourceOptodeCount NIRSDetectorOptodeCount ACCELChannelCount GYROChannelCount MAGNChannelCount
    ShortChannelCount SourceType DetectorType NIRSPlacementScheme FilterParameters HalfAmplitudeCutOffHz
    RollOff EEGCoordinateSystem EEGCoordinateUnits MEGCoordinateSystem MEGCoordinateUnits
    iEEGCoordinateSystem iEEGCoordinateUnits NIRSCoordinateSystem NIRSCoordinateUnits
    HeadCoilCoordinates HeadCoilCoordinateSystem HeadCoilCoordinateUnits AnatomicalLandmarkCoordinates
    AnatomicalLandmarkCoordinateSystem AnatomicalLandmarkCoordinateUnits FiducialsCoordinates NAS LPA
    RPA ArterialSpinLabelingType PostLabelingDelay BackgroundSuppression
    BackgroundSuppressionNumberPulses BackgroundSuppressionPulseTime VascularCrushing
    VascularCrushingVENC LabelingDuration LabelingPulseAverageGradient LabelingPulseMaximumGradient
    LabelingPulseAverageB1 LabelingPulseDuration LabelingPulseFlipAngle LabelingPulseInterval
    LabelingSlabThickness LabelingDistance LabelingEfficiency LabelingOrientation
    LabelingLocationDescription PCASLType CASLType PASLType BolusCutOffFlag BolusCutOffDelayTime
    BolusCutOffTechnique BolusCutOffTimingSequence M0Type M0Estimate AcquisitionVoxelSize
    TotalAcquiredPairs LookLocker TracerName TracerRadionuclide TracerMolecularWeight
    TracerMolecularWeightUnits Radiopharmaceutical RadionuclideHalfLife RadionuclideTotalDose
    RadionuclidePositronFraction InjectedRadioactivity InjectedRadioactivityUnits InjectedMass
    InjectedMassUnits InjectedMassPerWeight InjectedMassPerWeightUnits InjectedVolume
    SpecificRadioactivity SpecificRadioactivityUnits MolarActivity MolarActivityUnits
    ModeOfAdministration InfusionRadioactivity InfusionSpeed InfusionSpeedUnits InfusionStart ScanStart
    InjectionStart InjectionEnd Purity Anaesthesia FrameTimesStart FrameDuration FrameDurations
    FrameReferenceTime DecayCorrected DecayFactor DecayCorrectionFactor DecayCorrection
    ImageDecayCorrected ImageDecayCorrectionTime AttenuationCorrection
    AttenuationCorrectionMethodReference ReconMethodName ReconMethodParameterLabels
    ReconMethodParameterUnits ReconMethodParameterValues ReconFilterType ReconFilterSize
    ReconMethodImplementationVersion ReconstructionMethod ConvolutionKernel RandomsCorrectionMethod
    ScatterCorrectionMethod ScatterFraction PromptRate RandomRate SinglesRate DoseCalibrationFactor
    PlasmaAvail MetaboliteAvail MetaboliteRecoveryCorrectionApplied DispersionCorrected WholeBloodAvail
    WithdrawalRate SliceThicknessReconstruction Haematocrit BloodDensity KVP XRayTubeCurrent
    XRayExposure ExposureTime Exposure GantryDetectorTilt TableHeight ReconstructionDiameter PatientSex
    PatientWeight PatientSize Sex Weight Size VisionCorrection OperatingSystem ScreenDistance
    ScreenRefreshRate ScreenResolution ScreenSize HeadStabilization TypeOfSet EchoPlanarImaging
    NonSteadyState DummyScans RepetitionsPerBlock PhaseFOV InterleavedAcquisition BIDSVersion
    DatasetType HEDVersion Delimiter MinimumValue MaximumValue Derivative Sampling Method FrequencyBand
    Sensitivity Threshold DegreesOfFreedom StatType time sample pixdim TotalDuration FieldMapUnits
    IsDefaced ProcedureStepCode CogAtlasID CogPOID SequenceDescription CardiacNumberOfImages TriggerTime
    HeartRate
    """
)

# Free text that keeps its medical meaning.
TEXT = words(
    """
    SeriesDescription ProtocolName StudyDescription ProcedureStepDescription
    PerformedProcedureStepDescription RequestedProcedureDescription TaskDescription Instructions
    Description LabelingDescription ReconMethodDescription ConversionComments PharmaceuticalName
    PharmaceuticalDoseUnits FieldmapDescription SkullStrippingMethod InterventionDescription
    EEGCoordinateSystemDescription iEEGCoordinateSystemDescription MEGCoordinateSystemDescription
    HeadCoilCoordinateSystemDescription NIRSCoordinateSystemDescription
    AnatomicalLandmarkCoordinateSystemDescription FiducialsDescription DeviceDescription
    """
)

TASK_NAME = frozenset({"TaskName"})
AGE = frozenset({"PatientAge", "PatientsAge", "Age"})
MOMENT = words(
    """
    AcquisitionTime AcquisitionDateTime AcquisitionDate SeriesTime SeriesDate StudyTime StudyDate
    ContentTime ContentDate InstanceCreationDate InstanceCreationTime TimeZero
    RadiopharmaceuticalStartTime RadiopharmaceuticalStartDateTime PerformedProcedureStepStartDate
    PerformedProcedureStepStartTime DateOfAcquisition ScanDate acq_time
    """
)
# A time alone wraps at midnight; with its date beside it the day is carried over.
DATE_OF_TIME = {
    "AcquisitionTime": "AcquisitionDate",
    "SeriesTime": "SeriesDate",
    "StudyTime": "StudyDate",
    "ContentTime": "ContentDate",
    "InstanceCreationTime": "InstanceCreationDate",
    "PerformedProcedureStepStartTime": "PerformedProcedureStepStartDate",
}
TIME_OF_DATE = {date: time for time, date in DATE_OF_TIME.items()}
UIDS = words(
    """
    StudyInstanceUID SeriesInstanceUID SOPInstanceUID FrameOfReferenceUID MediaStorageSOPInstanceUID
    ReferencedSOPInstanceUID ConcatenationUID DimensionOrganizationUID
    SynchronizationFrameOfReferenceUID
    """
)
PATHS = words(
    """
    IntendedFor Sources RawSources AssociatedEmptyRoom BasedOn CoordSystem DerivedFrom SourceFile
    SpatialReference
    """
)
# Containers of the same keys: dcmstack, heudiconv, MRIQC, BIDS dictionaries of objects.
CONTAINERS = words(
    """
    global const slices samples vector per_slice bids_meta StimulusPresentation Genetics HardwareFilters
    SoftwareFilters GeneratedBy Container time
    """
)

# What an index pass learns from a sidecar: key to kind of identifier (deid.core.identifiers.Kind).
IDENTIFYING = {
    "PatientName": "PATIENT_NAME",
    "PatientsName": "PATIENT_NAME",
    "OtherPatientNames": "PATIENT_NAME",
    "PatientBirthName": "PATIENT_NAME",
    "PatientMotherBirthName": "PERSON",
    "ResponsiblePerson": "PERSON",
    "ReferringPhysicianName": "PERSON",
    "PerformingPhysicianName": "PERSON",
    "PhysiciansOfRecord": "PERSON",
    "NameOfPhysiciansReadingStudy": "PERSON",
    "OperatorsName": "PERSON",
    "OperatorName": "PERSON",
    "RequestingPhysician": "PERSON",
    "PatientID": "ID",
    "OtherPatientIDs": "ID",
    "AccessionNumber": "ID",
    "StudyID": "ID",
    "IssuerOfPatientID": "ID",
    "PatientBirthDate": "DATE",
    "PatientsBirthDate": "DATE",
    "StudyDate": "DATE",
    "SeriesDate": "DATE",
    "AcquisitionDate": "DATE",
    "AcquisitionDateTime": "DATE",
    "ContentDate": "DATE",
    "InstitutionName": "PLACE",
    "InstitutionAddress": "PLACE",
    "InstitutionalDepartmentName": "PLACE",
    "PatientAddress": "PLACE",
    "StationName": "PLACE",
    "PatientTelephoneNumbers": "PHONE",
    "ReferringPhysicianTelephoneNumbers": "PHONE",
    "DeviceSerialNumber": "DEVICE",
    "StudyInstanceUID": "UID",
    "SeriesInstanceUID": "UID",
}
